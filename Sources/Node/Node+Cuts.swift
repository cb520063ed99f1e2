internal import Decisions
package import Mesh
package import VolumeCore
internal import Wire

/// A backup's order to hold on to everything as of one place in the log.
package struct CutOrder: Hashable, Sendable {
    /// An entry that was applied.
    package struct Place: Hashable, Sendable {
        package let position: Position
        /// The leader's, when it proposed the entry.
        package let time: WallTime

        package init(position: Position, time: WallTime) {
            (self.position, self.time) = (position, time)
        }
    }

    /// What was decided, as of a place.
    package struct Moment: Hashable, Sendable {
        package let place: Place
        /// The primary's there; zero while there was none yet.
        package let epoch: Epoch
        package let decisions: [UInt8]
    }

    package let ticket: CutTicket
    /// What the log changed above is to be told.
    package let since: LogIndex?
    /// nil where this process applied nothing yet: it could not say when that was.
    package let moment: Moment?
}

extension Node {
    /// The decisions are here, the volumes elsewhere: the order follows all entries that they were handed, so both are cut
    /// behind the same one.
    mutating func orderCut(_ ticket: CutTicket, since: LogIndex?) {
        let moment = lastRuled.map { place in
            CutOrder.Moment(
                place: place, epoch: decisions.tenure.primary?.epoch ?? .zero,
                decisions: decisions.encoded)
        }
        out.append(.cut(CutOrder(ticket: ticket, since: since, moment: moment)))
    }
}
