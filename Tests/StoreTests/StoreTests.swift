import Foundation
import Mesh
import Store
import Testing

@Suite("Whose data a directory holds")
struct StoreTests {
    private static let cluster = ClusterID(high: 0x5f0c_3a7e, low: 0xfeed)
    private static let id = StoreID(high: 0xabc, low: 1)

    private let home: String

    init() throws {
        home = FileManager.default.temporaryDirectory.path() + "hfs-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
    }

    private static let members = "1 data, 2 data, 3 witness"

    private func store(of node: UInt64 = 1, members: String = Self.members) -> StoreDirectory {
        StoreDirectory(
            home + "/data", of: NodeID(node), in: Self.cluster, members: members,
            config: "/etc/holdfast/node.yaml")
    }

    private func write(_ text: String, to name: String) throws {
        let path = "\(home)/data/\(name)"
        try FileManager.default.createDirectory(
            at: URL(filePath: path).deletingLastPathComponent(), withIntermediateDirectories: true)
        try text.write(toFile: path, atomically: false, encoding: .utf8)
    }

    private func names() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: home + "/data").sorted()
    }

    private func refusal(_ deed: () throws -> Identity) -> String {
        do {
            _ = try deed()
            return "not refused"
        } catch {
            return "\(error)"
        }
    }

    @Test func `what is made is found again, as text that a person can read`() throws {
        let made = try store().make(Self.id)
        #expect(
            made
                == Identity(
                    cluster: Self.cluster, node: NodeID(1), store: Self.id, members: Self.members))
        #expect(try store().identity() == made)
        #expect(try names() == ["identity"])
        #expect(
            try String(contentsOfFile: home + "/data/identity", encoding: .utf8) == """
                cluster 000000005f0c3a7e000000000000feed node 1
                store 0000000000000abc0000000000000001
                members 1 data, 2 data, 3 witness

                """)
    }

    @Test func `without an identity a node is told to mount its disk, or to init if it is new`()
        throws
    {
        let absent = refusal { try store().identity() }
        #expect(absent.contains("\(home)/data holds no node's data"))
        #expect(absent.contains("not mounted or the directory was emptied"))
        #expect(absent.contains("Never init a node that has served"))
        #expect(absent.contains("holdfast init --config /etc/holdfast/node.yaml"))
        #expect(!FileManager.default.fileExists(atPath: home + "/data"))
        try write("", to: "journal/x")
        #expect(refusal { try store().identity() } == absent)
    }

    @Test(arguments: ["identity", "journal/segment-1", "volumes/vm1", "incarnation", "notes.txt"])
    func `nothing is made where something is already`(name: String) throws {
        try write("kept", to: name)
        let before = try names()
        let told = refusal { try store().make(Self.id) }
        #expect(told.contains("holds something already: \(before[0]). Nothing was changed."))
        #expect(try names() == before)
        #expect(try String(contentsOfFile: "\(home)/data/\(name)", encoding: .utf8) == "kept")
    }

    @Test func `a missing parent is named, with both of what it may mean`() throws {
        let path = home + "/disk/of/node"
        let store = StoreDirectory(
            path, of: NodeID(1), in: Self.cluster, members: Self.members, config: "node.yaml")
        let told = refusal { try store.make(Self.id) }
        #expect(told.hasPrefix("\(path) can't be made: the directory that it is to be in"))
        #expect(told.contains("mount that first") && told.hasSuffix("mkdir -p \(home)/disk/of"))
    }

    @Test func `nothing is made twice, nor by another node`() throws {
        let made = try store().make(Self.id)
        #expect(refusal { try store().make(StoreID(high: 2, low: 2)) }.contains("identity"))
        #expect(refusal { try store(of: 2).make(StoreID(high: 2, low: 2)) }.contains("identity"))
        #expect(try store().identity() == made)
    }

    @Test func `a fresh file system, empty mount points and a cut-off init are no node's data`()
        throws
    {
        for name in ["lost+found", "journal/lost+found", "volumes"] {
            try FileManager.default.createDirectory(
                atPath: "\(home)/data/\(name)", withIntermediateDirectories: true)
        }
        try write("clus", to: "identity.new")
        let made = try store().make(Self.id)
        #expect(try store().identity() == made)
    }

    @Test func `another node's data is refused with both names`() throws {
        _ = try store().make(Self.id)
        let told = refusal { try store(of: 2).identity() }
        #expect(told.contains("belongs to cluster \(Self.cluster) node 1"))
        #expect(told.contains("is of cluster \(Self.cluster) node 2"))
    }

    /// Alone in its own file, a node would elect itself beside the others.
    @Test func `who lists other members than the store was made with is refused`() throws {
        let made = try store().make(Self.id)
        for other in ["1 data", "1 data, 2 data, 3 data", "1 data, 2 data, 3 witness, 4 data"] {
            let told = refusal { try store(members: other).identity() }
            #expect(told.contains("members are \(Self.members) since \(home)/data was made"))
            #expect(told.contains("lists \(other).") && told.contains("second primary"))
        }
        try store().journalBegan(made)
        try write("", to: "journal/segment-1")
        #expect(try store().identity().members == Self.members)
    }

    @Test func `a directory from before there were stores is its node's`() throws {
        try write("cluster \(Self.cluster) node 1\n", to: "identity")
        #expect(
            try store().identity()
                == Identity(cluster: Self.cluster, node: NodeID(1), store: nil))
        #expect(refusal { try store(of: 2).identity() }.contains("never start a node"))
    }

    @Test(arguments: [
        "", "\n", "cluster x node 1\n", "cluster C node 1", "cluster C node 01\n",
        "cluster C node 1\nstore 12\n", "cluster C node 1\njournal begun\nstore S\n",
        "cluster C node 1\nstore S\nstore S\n", "cluster C node 1\nmore\n",
        "cluster C  node 1\n", "cluster C node 1\n\nstore S\n", " cluster C node 1\n",
        "cluster C node 1\njournal begun\njournal begun\n",
    ])
    func `an identity that isn't to the letter is refused`(text: String) throws {
        let text = text.replacing("C", with: Self.cluster.description)
            .replacing("S", with: Self.id.description)
        try write(text, to: "identity")
        #expect(refusal { try store().identity() }.contains("can't be understood"), "\(text)")
    }

    @Test func `every identity is read as it was written`() {
        for store in [nil, Self.id] {
            for hasJournal in [false, true] {
                for members in [nil, Self.members] {
                    let identity = Identity(
                        cluster: Self.cluster, node: NodeID(.max), store: store, members: members,
                        hasJournal: hasJournal)
                    #expect(Identity(parsing: identity.text) == identity)
                }
            }
        }
    }

    /// What is left may be a base, an index or a spare: none of them holds a promise.
    @Test(arguments: ["base-1", "index-1", "spare-1", "segment-2.new", "lost+found"])
    func `a journal that had segments and has none is refused`(left: String) throws {
        let new = try store().make(Self.id)
        try write("", to: "journal/segment-1")
        try store().journalBegan(new)
        let begun = try store().identity()
        #expect(begun.hasJournal && begun.store == new.store)
        #expect(try !StoreDirectory.hasLostJournal(in: home + "/data"))
        try FileManager.default.removeItem(atPath: home + "/data/journal")
        try write("", to: "journal/\(left)")
        #expect(try StoreDirectory.hasLostJournal(in: home + "/data"))
        let told = refusal { try store().identity() }
        #expect(told.contains("\(home)/data/journal has no segments"))
        #expect(told.contains("must not vote"))
        #expect(refusal { try store().make(Self.id) }.contains("identity"))
    }

    @Test func `a state file in a missing directory says what failed and where`() {
        let file = StateFile("x", in: "/nowhere")
        #expect(throws: StateFile.Failed.self) { try file.replace([1]) }
        do { try file.replace([1]) } catch {
            #expect(error.description == "cannot create /nowhere/x.new: No such file or directory")
        }
    }
}
