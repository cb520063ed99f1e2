/// The body of `POST /v1/members`: who comes, who goes, or both in one step.
package struct MembersRequest: Codable, Hashable, Sendable {
    package var coming: UInt64?
    package var leaving: UInt64?
    /// Whether the one who comes is to be the witness: said again, so that no slip of the cluster
    /// file gives a node another role than was meant.
    package var witness: Bool

    package init(coming: UInt64? = nil, leaving: UInt64? = nil, witness: Bool = false) {
        (self.coming, self.leaving, self.witness) = (coming, leaving, witness)
    }
}

/// What is wished of the members and not done, as the answering node sees it.
package struct WishReport: Codable, Hashable, Sendable {
    /// In words: `replace node 3 by node 4 in eu-west-1`.
    package var change: String
    package var coming: UInt64?
    package var leaving: UInt64?
    /// The entry of the log that asked for it.
    package var since: UInt64
    /// Old and new members decide together already: it can't be taken back.
    package var isJoint: Bool
    /// Only the leader knows.
    package var waitsFor: String?
    /// Since it last came nearer; only the leader knows.
    package var stoodSeconds: UInt64?

    package init(
        change: String, coming: UInt64?, leaving: UInt64?, since: UInt64, isJoint: Bool,
        waitsFor: String? = nil, stoodSeconds: UInt64? = nil
    ) {
        self.change = change
        (self.coming, self.leaving) = (coming, leaving)
        self.since = since
        self.isJoint = isJoint
        (self.waitsFor, self.stoodSeconds) = (waitsFor, stoodSeconds)
    }
}

/// The answer to `POST /v1/members` and to `DELETE /v1/members/wish`.
package struct MembersChangeReport: Codable, Hashable, Sendable {
    /// In words.
    package var change: String
    /// False while the mesh still works on it.
    package var isDone: Bool

    package init(change: String, isDone: Bool) {
        (self.change, self.isDone) = (change, isDone)
    }
}

/// Why the members stay as they are.
package enum MemberRefused: Hashable, Sendable {
    /// The request names nobody.
    case nobody
    case unknown(node: UInt64, known: [UInt64])
    case notInFile(node: UInt64)
    case roleDiffers(node: UInt64, isWitness: Bool)
    case exists(node: UInt64)
    case former(node: UInt64)
    case isPrimary(node: UInt64)
    case lastData(node: UInt64)
    case otherRole(node: UInt64)
    case witnessExists(node: UInt64)
    case changing(change: String)
    case notChanging
    case isJoint(change: String)
    case tooMany(limit: Int)
    case tooManyFormers(limit: Int)
    case lowLevel(node: UInt64, speaks: UInt64, mesh: UInt64)
}

extension Problem {
    init(_ refused: MemberRefused) {
        let (code, status, title, detail, remedy) = Self.parts(of: refused)
        self.init(code, status, title, detail, remedy)
    }

    private typealias Parts = (String, Int, String, String, String)

    private static func parts(of refused: MemberRefused) -> Parts {
        switch refused {
        case .lowLevel(let node, let speaks, let mesh):
            (
                "members-low-level", 409, "It speaks too little",
                "Node \(node) speaks feature level \(speaks), and this mesh is at \(mesh).",
                "Install the release that the others run on it, then ask again."
            )
        case .nobody:
            (
                "members-nobody", 422, "Nobody is named",
                "Neither who comes nor who goes is given.",
                "Give `coming`, `leaving` or both."
            )
        case .changing(let change):
            (
                "members-changing", 409, "The members are changing", "The mesh is to \(change).",
                "Wait until that is done, or take it back with `holdfast members cancel`."
            )
        case .notChanging:
            (
                "members-not-changing", 409, "Nothing is to be taken back",
                "No change of the members was asked for, or it is done.", "See `holdfast members`."
            )
        case .isJoint(let change):
            (
                "members-joint", 409, "It can't be taken back any more",
                "Old and new members decide together already: the mesh will \(change).",
                "Wait until it is done; then change the members again."
            )
        case .tooMany(let limit):
            (
                "members-too-many", 409, "Too many members", "A mesh has at most \(limit) members.",
                "Remove or replace one."
            )
        case .tooManyFormers(let limit):
            (
                "members-too-many-former", 409, "Too many nodes were members",
                "\(limit) nodes were members once, and no more can be remembered.",
                "Make a new mesh, and copy the volumes to it."
            )
        default: ofNode(refused)
        }
    }

    private static func ofNode(_ refused: MemberRefused) -> Parts {
        switch refused {
        case .unknown(let node, let known):
            (
                "member-unknown", 404, "No such member", "Node \(node) is no member.",
                "Use one of: \(known.map { "\($0)" }.joined(separator: ", "))."
            )
        case .notInFile(let node):
            (
                "member-not-in-file", 409, "The cluster file does not name it",
                "This node's cluster file has no entry for node \(node).",
                "Add it to the cluster file of every node, and reload them (SIGHUP)."
            )
        case .roleDiffers(let node, let isWitness):
            (
                "member-role", 409, "The cluster file gives it the other role",
                "Node \(node) has the role \(isWitness ? "data" : "witness") there.",
                isWitness
                    ? "Leave --witness out, or change the file."
                    : "Give --witness, or change the file."
            )
        case .exists(let node):
            (
                "member-exists", 409, "It is a member", "Node \(node) is a member already.",
                "Nothing is to be done; a lost node returns under a new id."
            )
        case .former(let node):
            (
                "member-former", 409, "Its id is used up",
                "Node \(node) was a member once, and an id is never used again.",
                "Give the node a new id in both files, and make its store anew."
            )
        case .isPrimary(let node):
            (
                "member-is-primary", 409, "It is the primary", "Node \(node) is the primary.",
                "Make another region primary first: `holdfast switchover REGION`."
            )
        case .lastData(let node):
            (
                "member-last", 409, "It is the last one",
                "Node \(node) is the only one that stores the volumes.", "Add another one first."
            )
        case .otherRole(let node):
            (
                "member-other-role", 409, "It has the other role",
                "A witness replaces a witness, and data data; node \(node) has the other role.",
                "Name two nodes of one role."
            )
        case .witnessExists(let node):
            (
                "witness-exists", 409, "There is a witness", "Node \(node) is the witness.",
                "Replace it: `holdfast members replace \(node) --with NODE`."
            )
        default:
            ("member", 409, "The members stay as they are", "\(refused)", "See `holdfast members`.")
        }
    }
}
