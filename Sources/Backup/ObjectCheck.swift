package import Repository
internal import Sealing

/// Tells whether bytes are what was stored under a name.
package struct ObjectCheck: Sendable {
    /// nil where there is no key: then only what is named by its digest is known to the byte.
    let vault: Vault?
    /// Without it, whatever is a key ring passes for one.
    let rings: RingHistory?

    package init(vault: Vault?, rings: RingHistory? = nil) {
        (self.vault, self.rings) = (vault, rings)
    }

    package func isWhole(_ name: ObjectName, _ bytes: [UInt8]) -> Bool {
        damage(name, bytes) == nil
    }

    /// Whether it is whole, or may be once a later key is at hand.
    func mayBeOurs(_ name: ObjectName, _ bytes: [UInt8]) -> Bool {
        guard let damage = damage(name, bytes) else { return true }
        // What says of itself that a later key seals it may be anybody's, where no later key is.
        guard let rings, rings.unknown != nil else { return false }
        if case .anotherEpoch(let epoch, let have) = damage { return epoch > have }
        return Self.part(of: name) == "keys" && rings.mayFollow(bytes)
    }

    /// Whether nobody without a key makes bytes that pass for it. An erasure's record is signed by a key that is nowhere here.
    func isProof(of name: ObjectName) -> Bool {
        if Self.isNamedByDigest(name) || name == Layout.repository { return true }
        return isOwn(name) && !Self.isErasure(name)
    }

    /// Whether it is of the tenant whose keys are here.
    func isOwn(_ name: ObjectName) -> Bool {
        vault.map { name.text.hasPrefix("\($0.layout.all)/") } ?? false
    }

    /// Nobody lets go of it, whose tenant is gone.
    static func isErasure(_ name: ObjectName) -> Bool { part(of: name) == "erasures" }

    private static func part(of name: ObjectName) -> Substring? {
        name.text.split(separator: "/").dropFirst().first
    }

    /// Whether who has no key knows each byte of it.
    static func isNamedByDigest(_ name: ObjectName) -> Bool { Layout.kind(name) != .other }

    func damage(_ name: ObjectName, _ bytes: [UInt8]) -> ObjectDamage? {
        do throws(ObjectDamage) {
            try check(name, bytes)
            return nil
        } catch { return error }
    }

    private func check(_ name: ObjectName, _ bytes: [UInt8]) throws(ObjectDamage) {
        if Self.isNamedByDigest(name) {
            guard Digest(of: bytes.span) == Layout.digest(name) else {
                throw .contents("its bytes are not those that its name is the digest of")
            }
            return
        }
        if name == Layout.repository {
            let id = try RepositoryObject(parsing: bytes).id
            guard vault.map({ $0.ring.repository == id }) ?? true else {
                throw .anotherRepository(id)
            }
            return
        }
        switch Self.part(of: name) {
        case "keys":
            let ring = try KeyRingObject(parsing: bytes)
            guard ring.number == Layout.number(name) else { throw Self.misplaced }
            if let rings, rings.tenant == Layout.ring(name)?.tenant {
                try rings.confirm(ring.number, Digest(of: bytes.span))
            }
            return
        // Signed by a key that is nowhere here: whether copies are the same is all that can be told.
        case "erasures": return
        default: break
        }
        guard let vault, isOwn(name) else {
            return _ = try SealedHeader(parsing: bytes)
        }
        try open(name, bytes, vault)
    }

    private static let misplaced = ObjectDamage.contents(
        "it is of another place than its name says")

    /// All of what is sealed.
    private func open(
        _ name: ObjectName, _ bytes: [UInt8], _ vault: Vault
    ) throws(ObjectDamage) {
        let (place, layout) = (try vault.place(of: bytes), vault.layout)
        let own: ObjectName
        switch try SealedHeader(parsing: bytes).kind {
        case .manifest:
            own = layout.manifest(try ManifestObject(bytes, for: place).manifest.sequence)
        case .hold: own = layout.hold(try Hold(bytes, for: place).backup)
        case .session:
            let said = try SessionStatement(bytes, for: place)
            own = layout.session(said.session, said.stage)
        case .collection:
            let said = try CollectionStatement(bytes, for: place)
            own = layout.collection(said.number, said.stage)
        case .stretch:
            let object = try StretchObject(bytes, for: place)
            _ = try object.entries()
            let stretch = object.stretch
            own = layout.stretch(stretch.cluster, stretch.group, first: stretch.first)
        case .pack, .index: throw Self.misplaced
        }
        guard own == name else { throw Self.misplaced }
    }
}
