import Testing

@testable import Holdfast

@Suite("Ranges of a restore") struct RangeTests {
    @Test(
        arguments: [
            ("0+1", 0..<1), ("1G+64K", 1 << 30..<(1 << 30) + (64 << 10)),
            ("7+1T", 7..<7 + (1 << 40)),
            ("4kib+4K", 4_096..<8_192),
        ] as [(String, Range<UInt64>)])
    func `a range is from where on, and how many`(text: String, bytes: Range<UInt64>) {
        #expect(ByteRange(argument: text)?.bytes == bytes)
    }

    @Test(arguments: [
        "", "5", "+", "5+", "+5", "5+0", "-1+5", "1+-5", "1+2+3", "1-2", "1 + 2",
        "99999999999999999999+1", "0+9999999T",
    ])
    func `what is no range is none`(text: String) { #expect(ByteRange(argument: text) == nil) }
}
