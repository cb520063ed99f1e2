/// The body of `POST /v1/switchover`.
package struct SwitchoverRequest: Codable, Hashable, Sendable {
    package var region: String
    package init(region: String) { self.region = region }
}

/// Its answer, once the new primary acts.
package struct SwitchoverReport: Codable, Hashable, Sendable {
    package var epoch: UInt64
    package var region: String
    /// From the request to the first write that the new primary could take.
    package var milliseconds: UInt64

    package init(epoch: UInt64, region: String, milliseconds: UInt64) {
        self.epoch = epoch
        self.region = region
        self.milliseconds = milliseconds
    }
}
