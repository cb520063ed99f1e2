package import Mesh
package import Sealing

/// All objects of a tenant, by what their names say that they are.
package struct Inventory: Sendable {
    /// Something lies there of which nobody knows what it is, or what depends on it.
    package struct Strange: Error, Hashable, Sendable, CustomStringConvertible {
        package let name: String
        package var description: String { "nobody knows what \(name) is" }
    }

    /// A stretch of a log.
    package struct Shipped: Hashable, Sendable {
        package let first: LogIndex
        package let byteCount: Int
    }

    /// With their lengths.
    package private(set) var packs: [Digest: Int] = [:]
    package private(set) var indexes: [Digest: Int] = [:]
    /// In their order.
    package private(set) var manifests: [UInt64] = []
    /// Of the log of each mesh and group, by the folder that they are in, in their order.
    package private(set) var stretches: [ObjectName: [Shipped]] = [:]
    package private(set) var holds: Set<UInt64> = []
    package private(set) var sessions: [UInt64: Set<Stage>] = [:]
    package private(set) var collections: [UInt64: Set<Stage>] = [:]

    /// `listing` is of all that the tenant has, or of a part of it. For who deletes.
    package init(_ listing: ObjectListing, of layout: Layout) throws(Strange) {
        let strange: String?
        (self, strange) = Self.read(listing, layout)
        if let name = listing.strangers.first ?? strange { throw Strange(name: name) }
    }

    /// What is known of `listing`, for who deletes nothing.
    package init(knownOf listing: ObjectListing, of layout: Layout) {
        (self, _) = Self.read(listing, layout)
    }

    private init() {}

    private static func read(
        _ listing: ObjectListing, _ layout: Layout
    ) -> (Inventory, strange: String?) {
        var (inventory, strange): (Inventory, String?) = (Inventory(), nil)
        for object in listing.objects where !inventory.take(object, layout) {
            strange = strange ?? object.name.text
        }
        inventory.manifests.sort()
        for folder in inventory.stretches.keys {
            inventory.stretches[folder]?.sort { $0.first < $1.first }
        }
        return (inventory, strange)
    }

    private mutating func take(_ object: ObjectListing.Object, _ layout: Layout) -> Bool {
        let name = object.name
        if let digest = Layout.digest(name) {
            switch name {
            case layout.pack(digest): packs[digest] = object.byteCount
            case layout.index(digest): indexes[digest] = object.byteCount
            default: return false
            }
            return true
        }
        if let number = Layout.number(name) {
            switch name {
            case layout.ring(number), layout.erasure(number): break
            case layout.manifest(number): manifests.append(number)
            case layout.hold(number): holds.insert(number)
            default:
                guard let folder = layout.log(of: name) else { return false }
                stretches[folder, default: []].append(
                    Shipped(first: LogIndex(number), byteCount: object.byteCount))
            }
            return true
        }
        guard let (number, stage) = Layout.stage(name) else { return false }
        switch name {
        case layout.session(number, stage): sessions[number, default: []].insert(stage)
        case layout.collection(number, stage): collections[number, default: []].insert(stage)
        default: return false
        }
        return true
    }
}
