internal import Backup
internal import Repository
internal import Sealing
internal import StoreChoice

/// The keys that a new repository gets.
struct MadeKeys {
    let owner: RingOwner
    var holders: [NamedHolder] = []
    /// Paths of key files that were made.
    private(set) var made: [String] = []
    /// Those of provider files, which were there.
    private(set) var provided: [String] = []

    init(owner: RingOwner) { self.owner = owner }

    /// A key that somebody else keeps, where a provider file lies there; else a new one in a file.
    mutating func make(
        _ name: String, _ path: String, using chance: inout SystemRandomNumberGenerator
    ) throws(Failure) {
        let provider = try backed { () throws(BackupFailure) -> GivenKey? in
            try KeyChoice.provider(path)
        }
        if let key = provider {
            guard key.owner == nil || key.owner == owner else {
                throw Failure(
                    .refused,
                    "\(path) is for another repository\n  Take repository and tenant out of a copy of it."
                )
            }
            holders.append(NamedHolder(name, key.holder))
            provided.append(path)
            return
        }
        let secret = Secret.drawn(by: &chance)
        let file = KeyFile(repository: owner.repository, tenant: owner.tenant, secret: secret)
        try backed("Give a new path, on a disk that keeps it.") { () throws(BackupFailure) in
            try KeyStorage.make(file, path)
        }
        holders.append(NamedHolder(name, .file(secret)))
        made.append(path)
    }
}
