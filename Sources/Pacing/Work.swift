/// What a long deed tells whoever waits for it.
package enum Work: Hashable, Sendable {
    package enum Unit: String, Hashable, Sendable {
        case bytes, objects
    }

    /// Something else is done from here on. `total` where it is known how much of it there is.
    case began(_ phase: String, in: Unit = .bytes, total: UInt64? = nil)
    case advanced(UInt64)
    /// So much was done before, and need not be done again.
    case kept(UInt64)
}

/// Called by several threads at once, as often as there is anything to tell.
package typealias WorkTeller = @Sendable (Work) -> Void
