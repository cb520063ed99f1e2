import S3Protocol
import Testing

@Suite("Places in a service") struct PlaceTests {
    private static func place(
        _ addressing: S3Place.Addressing, prefix: String = "", port: UInt16? = nil,
        encrypted: Bool = true
    ) -> S3Place {
        S3Place(
            isEncrypted: encrypted, host: "s3.example", port: port, region: "r", bucket: "b",
            prefix: prefix, addressing: addressing)
    }

    @Test func `a bucket is named in the path or in the host`() {
        let path = Self.place(.path, prefix: "p/q", port: 8333, encrypted: false)
        #expect(path.host == "s3.example:8333" && path.path == "/b")
        #expect(path.path("packs/1") == "/b/p/q/packs/1")
        let request = S3Request(.get, path: path.path, query: [("prefix", "p/"), ("a", "=")])
        #expect(path.origin + request.target == "http://s3.example:8333/b?a=%3D&prefix=p%2F")
        let host = Self.place(.virtualHost, port: 443)
        #expect(host.host == "b.s3.example" && host.path == "/" && host.path("x") == "/x")
        #expect("\(path)" == "s3://b/p/q at http://s3.example:8333")
        #expect("\(host)" == "s3://b at https://s3.example")
    }

    @Test func `a key is a name here, or of another place`() {
        let place = Self.place(.path, prefix: "p")
        #expect(place.key("a/b") == "p/a/b" && place.name("p/a/b") == "a/b")
        #expect(place.name("pq/a") == nil && place.name("a") == nil)
        #expect(Self.place(.path).name("a") == "a")
    }
}
