/// Stops the process when `condition` is false: what must hold does not hold, so going on could
/// lose data. Unlike `precondition` it speaks, and it stays in every build.
@inlinable
package func invariant(
    _ condition: @autoclosure () -> Bool, _ message: @autoclosure () -> String,
    file: StaticString = #fileID, line: UInt = #line
) {
    if !condition() { fatalError("invariant broken: \(message())", file: file, line: line) }
}
