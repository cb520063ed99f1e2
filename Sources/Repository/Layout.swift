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

    /// Whose ring has that name, and its number; nil for other names.
    package static func ring(_ name: ObjectName) -> (tenant: TenantID, number: UInt64)? {
        guard let words = name.text.split(separator: "/").first.flatMap({ Hexadecimal.words($0) }),
            let number = number(name)
        else { return nil }
        let tenant = TenantID(high: words.high, low: words.low)
        return name == Layout(tenant).ring(number) ? (tenant, number) : nil
    }

    /// Of a mesh's log, by its first entry.
    package func stretch(_ cluster: ClusterID, _ group: GroupID, first: LogIndex) -> ObjectName {
        Self.stretch(in: log(cluster, group), first: first)
    }
    package static func stretch(in folder: ObjectName, first: LogIndex) -> ObjectName {
        known("\(folder)/\(digits(first.rawValue))")
    }
    package func log(_ cluster: ClusterID, _ group: GroupID) -> ObjectName {
        Self.known("\(tenant)/log/\(cluster)-\(group)")
    }

    /// The folder of the stretch of that name, of any mesh; nil for other names.
    func log(of name: ObjectName) -> ObjectName? {
        let parts = Self.parts(name)
        guard parts.count == 4, parts[0] == "\(tenant)", parts[1] == "log" else { return nil }
        let mesh = parts[2].split(separator: "-")
        guard mesh.count == 2, Hexadecimal.words(mesh[0]) != nil, UInt64(mesh[1]) != nil,
            Self.number(parts[3]) != nil
        else { return nil }
        return ObjectName("\(tenant)/log/\(parts[2])")
    }

    package func erasure(_ number: UInt64) -> ObjectName {
        Self.known("\(tenant)/erasures/\(Self.digits(number))")
    }
    package func hold(_ backup: UInt64) -> ObjectName {
        Self.known("\(tenant)/holds/\(Self.digits(backup))")
    }
    package func session(_ number: UInt64, _ stage: Stage) -> ObjectName {
        Self.known("\(tenant)/sessions/\(Self.digits(number))-\(stage.rawValue)")
    }
    package func collection(_ number: UInt64, _ stage: Stage) -> ObjectName {
        Self.known("\(tenant)/collections/\(Self.digits(number))-\(stage.rawValue)")
    }

    /// What an object is, as far as it matters to who keeps copies of it.
    package enum Kind: Hashable, Sendable {
        /// Both are named by the digest of their bytes: who keeps them needs no key to tell whether they are whole.
        case pack
        case index
        /// Named by a number, or by nothing else than its place.
        case other
    }

    /// Of whichever tenant's object.
    package static func kind(_ name: ObjectName) -> Kind {
        guard digest(name) != nil, let part = parts(name).dropFirst().first else { return .other }
        return part == "packs" ? .pack : part == "indexes" ? .index : .other
    }

    private static func parts(_ name: ObjectName) -> [Substring] { name.text.split(separator: "/") }

    /// All that the tenant has.
    package var all: ObjectName { Self.known("\(tenant)") }
    package var packs: ObjectName { Self.known("\(tenant)/packs") }
    package var packFolders: [ObjectName] {
        (0..<256).map { Self.known("\(packs)/\(Hexadecimal.text(UInt8($0)))") }
    }
    /// Of all meshes.
    package var logs: ObjectName { Self.known("\(tenant)/log") }
    package var indexes: ObjectName { Self.known("\(tenant)/indexes") }
    package var manifests: ObjectName { Self.known("\(tenant)/manifests") }
    package var rings: ObjectName { Self.known("\(tenant)/keys") }
    package var holds: ObjectName { Self.known("\(tenant)/holds") }
    package var sessions: ObjectName { Self.known("\(tenant)/sessions") }
    package var collections: ObjectName { Self.known("\(tenant)/collections") }

    /// The digest that an object's name ends with; nil for other names.
    package static func digest(_ name: ObjectName) -> Digest? { Digest(last(name)) }

    /// The number that an object's name ends with; nil for other names.
    package static func number(_ name: ObjectName) -> UInt64? {
        number(last(name))
    }

    /// The number and the stage that an object's name ends with; nil for other names.
    package static func stage(_ name: ObjectName) -> (number: UInt64, stage: Stage)? {
        let parts = last(name).split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let number = number(parts[0]),
            let stage = UInt8(parts[1]).flatMap(Stage.init)
        else { return nil }
        return (number, stage)
    }

    private static func number(_ text: some StringProtocol) -> UInt64? {
        guard text.utf8.count == digitCount, text.utf8.allSatisfy({ (48...57).contains($0) }) else {
            return nil
        }
        // Nothing counts up from 0 so far: it is an enemy's, and whoever went on counting from it would overflow.
        return UInt64(text).flatMap { $0 <= LogIndex.countMax.rawValue ? $0 : nil }
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
