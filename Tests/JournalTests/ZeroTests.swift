import Disk
import Foundation
import Journal
import Testing

@Suite("Ranges of zeros in real files")
struct ZeroTests {
    @Test(arguments: [false, true])
    func `a zeroed range reads zero, its neighbours stay, the length too`(byWriting: Bool) throws {
        let path = FileManager.default.temporaryDirectory.path() + "/hf-\(UUID())"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        var disk = try FileDisk(path)
        defer { disk.shutDown() }
        let file = try disk.open("image", create: true)
        try disk.write(file, at: 0, [[UInt8](repeating: 7, count: 3 << 20)])
        let range: Range<UInt64> = 5_000..<(2 << 20) + 77
        if byWriting { try disk.writeZeros(file, range) } else { try disk.zero(file, range) }
        let bytes = try disk.read(file, at: 0, count: 3 << 20)
        #expect(try disk.byteCount(file) == 3 << 20)
        #expect(bytes[..<5_000].allSatisfy { $0 == 7 })
        #expect(bytes[5_000..<Int(range.upperBound)].allSatisfy { $0 == 0 })
        #expect(bytes[Int(range.upperBound)...].allSatisfy { $0 == 7 })
    }
}
