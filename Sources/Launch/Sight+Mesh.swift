package import Admin
package import Alarms
package import Gossip
internal import Mesh
package import Settings
package import Transport
package import Voting

/// What both daemons see alike.
extension Sight {
    /// Without its peers, and without what only a data member knows.
    package init(
        _ settings: AgentSettings, quorum: QuorumReport, keeper: AlarmKeeper, transport: Transport,
        now: UInt64
    ) {
        self.init(
            own: settings.member.id, region: settings.member.region.text, data: settings.node.data,
            now: now, quorum: quorum, clusterFile: settings.cluster.print)
        certificates = transport.certificates.map {
            Certificate(path: $0.path, isAuthority: $0.isAuthority, endsAt: $0.at)
        }
        incidents = keeper.incidents
    }
}

extension Sight.Peer {
    /// `report` is what the member last said of itself.
    package init(
        _ member: Member, liveness: Gossip.Liveness?, report: Report?, transport: Transport
    ) {
        let standing: Sight.Standing =
            switch liveness {
            case .alive: .alive
            case .suspect: .suspect
            case .left: .left
            case .dead, nil: .silent
            }
        self.init(
            node: member.id, region: member.region.text, address: member.address.description,
            standing: standing)
        hasRoom = report?.hasRoom ?? true
        isMending = report?.isMending ?? false
        clusterFile = report.flatMap { Bulletin(parsing: $0.bulletin) }?.clusterFile
        let isLinked = transport.links.contains {
            $0.node == member.id && $0.lane == .consensus && $0.isUp
        }
        refusal = isLinked ? nil : transport.refusals.lastByPeer[member.id]?.reason
    }
}

extension AlarmKeeper {
    /// What an operator asks to be cleared, by the alarm's name.
    package func clear(named name: String) async throws(AdminRefused) -> AlarmClearing {
        guard let code = AlarmCode(rawValue: name) else {
            throw .alarm(.unknown(name: name, known: AlarmCode.allCases.map(\.rawValue)))
        }
        guard let kind = Incident.Kind(code: code) else {
            throw .alarm(.endsByItself(name: name))
        }
        return AlarmClearing(code: name, cleared: await clear(kind))
    }
}
