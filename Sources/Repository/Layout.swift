package import Mesh
package import Sealing

/// What a tenant's objects are called (docs/formats/repository.md, "Names").
package struct Layout: Hashable, Sendable {
    package let tenant: TenantID
    package init(_ tenant: TenantID) { self.tenant = tenant }

    /// The only object that belongs to no tenant: whose repository this is.
    package static let repository = known("repository")

    /// Spread over 256 folders: a directory of a million files is slow to list.
    package func pack(_ name: Digest) -> ObjectName {
        let text = name.description
        return Self.known("\(tenant)/packs/\(text.prefix(2))/\(text)")
    }
    package func index(_ name: Digest) -> ObjectName {
        Self.known("\(tenant)/indexes/\(name)")
    }
    package func manifest(_ sequence: UInt64) -> ObjectName {
        Self.known("\(tenant)/manifests/\(Self.digits(sequence))")
    }
    package func ring(_ number: UInt64) -> ObjectName {
        Self.known("\(tenant)/keys/\(Self.digits(number))")
    }

    /// Of a mesh's log, by its first entry.
    package func stretch(_ cluster: ClusterID, _ group: GroupID, first: LogIndex) -> ObjectName {
        Self.known("\(log(cluster, group))/\(Self.digits(first.rawValue))")
    }
    package func log(_ cluster: ClusterID, _ group: GroupID) -> ObjectName {
        Self.known("\(tenant)/log/\(cluster)-\(group)")
    }

    package var packs: ObjectName { Self.known("\(tenant)/packs") }
    package var indexes: ObjectName { Self.known("\(tenant)/indexes") }
    package var manifests: ObjectName { Self.known("\(tenant)/manifests") }
    package var rings: ObjectName { Self.known("\(tenant)/keys") }

    /// The digest that an object's name ends with; nil for other names.
    package static func digest(_ name: ObjectName) -> Digest? { Digest(last(name)) }

    /// The number that an object's name ends with; nil for other names.
    package static func number(_ name: ObjectName) -> UInt64? {
        let text = last(name)
        guard text.utf8.count == digitCount, let number = UInt64(text) else { return nil }
        return number
    }

    private static let digitCount = 20
    private static func digits(_ number: UInt64) -> String {
        let text = String(number)
        return String(repeating: "0", count: digitCount - text.utf8.count) + text
    }

    private static func last(_ name: ObjectName) -> String {
        name.text.split(separator: "/").last.map(String.init) ?? ""
    }

    private static func known(_ text: String) -> ObjectName {
        guard let name = ObjectName(text) else { preconditionFailure("\(text) names an object") }
        return name
    }
}
