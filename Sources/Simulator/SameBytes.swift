/// Whether two runs of bytes are equal. Looks at all of them and not only up to the first difference,
/// so that the compiler takes many at a time: a run compares gigabytes that hardly ever differ.
func areSame(_ a: ArraySlice<UInt8>, _ b: ArraySlice<UInt8>) -> Bool {
    guard a.count == b.count else { return false }
    return unsafe a.withUnsafeBufferPointer { a in
        unsafe b.withUnsafeBufferPointer { b in
            var difference: UInt8 = 0
            for at in 0..<a.count { unsafe difference |= a[at] ^ b[at] }
            return difference == 0
        }
    }
}
