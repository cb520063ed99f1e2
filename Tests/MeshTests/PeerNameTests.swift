import Mesh
import Testing

@Suite struct PeerNameTests {
    static let cluster = "5f0c3a0000000000000000000000feed"

    @Test func `a name is read back as it was spelled`() throws {
        let text = "holdfast://\(Self.cluster)/us-east-1/18446744073709551615"
        let name = try PeerName(amongURIs: ["https://example", text])
        #expect(name.node == NodeID(.max))
        #expect(name.region == RegionName("us-east-1"))
        #expect(name.description == text)
    }

    @Test(arguments: [
        "holdfast://\(cluster)/a/01", "holdfast://\(cluster)/a/+1", "holdfast://\(cluster)/a/1/",
        "holdfast://\(cluster)/A/1", "holdfast://\(cluster)//1", "holdfast://\(cluster)/a",
        "holdfast://5F0C3A0000000000000000000000FEED/a/1", "holdfast://5f/a/1",
        "holdfast://\(cluster)/a/18446744073709551616",
    ])
    func `a second spelling of a name is refused`(text: String) {
        #expect(throws: PeerName.Refused.misspelled(text)) { try PeerName(amongURIs: [text]) }
    }

    @Test func `no name and two names are refused`() {
        #expect(throws: PeerName.Refused.absent) { try PeerName(amongURIs: ["https://a"]) }
        let text = "holdfast://\(Self.cluster)/a/1"
        #expect(throws: PeerName.Refused.several) { try PeerName(amongURIs: [text, text]) }
    }
}
