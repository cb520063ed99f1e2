package import Mesh

/// A volume's name as operators see it: taken by one volume at a time.
package enum NamedVolume: SequentialModel {
    package enum State: Hashable {
        case free
        /// nil: created by somebody who was not answered.
        case taken(VolumeID?)
    }
    package enum Operation: Hashable {
        /// The id is nil where no answer told it.
        case create(VolumeID?)
        case createRefused
        case delete(VolumeID)
        case deleteRefused(VolumeID)
        /// Whether it was there then, nobody knows.
        case deleteUnanswered(VolumeID)
    }

    package static var initial: State { .free }

    package static func after(_ operation: Operation, in state: State) -> State? {
        switch (operation, state) {
        case (.create(let id), .free): .taken(id)
        // Unanswered, so it may have been refused.
        case (.create(nil), .taken): state
        case (.create, .taken): nil
        case (.createRefused, .taken): state
        case (.createRefused, .free): nil
        case (.delete(let id), .taken(let known)): known == id ? .free : nil
        case (.delete, .free): nil
        case (.deleteRefused(let id), .taken(let known)): known == id ? nil : state
        case (.deleteRefused, .free): state
        case (.deleteUnanswered(let id), .taken(let known)): known == id ? .free : state
        case (.deleteUnanswered, .free): state
        }
    }
}
