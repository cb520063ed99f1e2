/// `1 voter`, `2 voters`, `1 entry`, `3 entries`: what a person reads never says "1 voters".
package func counted(
    _ count: some BinaryInteger, _ one: String, _ many: String? = nil
) -> String {
    "\(count) " + (count == 1 ? one : many ?? one + "s")
}
