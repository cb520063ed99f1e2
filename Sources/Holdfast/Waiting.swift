internal import Control
internal import Dispatch
internal import NIOConcurrencyHelpers

/// For threads that have nothing else to do than to wait; never on one that tasks run on.
extension AdminClient {
    func answer(to route: Route) -> Result<[UInt8], AskFailed> {
        waiting { () async throws(AskFailed) in try await ask(route) }
    }

    func answer<Value: Decodable & Sendable>(
        to route: Route, for type: Value.Type
    ) -> Result<Value, AskFailed> {
        waiting { () async throws(AskFailed) in try await ask(route, for: type) }
    }

    private func waiting<Value: Sendable>(
        _ deed: @escaping @Sendable () async throws(AskFailed) -> Value
    ) -> Result<Value, AskFailed> {
        let done = DispatchSemaphore(value: 0)
        let box = NIOLockedValueBox<Result<Value, AskFailed>?>(nil)
        Task.detached {
            let result: Result<Value, AskFailed>
            do throws(AskFailed) { result = .success(try await deed()) } catch {
                result = .failure(error)
            }
            box.withLockedValue { $0 = result }
            done.signal()
        }
        while true {
            done.wait()
            if let result = box.withLockedValue({ $0 }) { return result }
        }
    }
}
