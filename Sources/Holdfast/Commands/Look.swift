internal import Admin
internal import Control

/// What stands, looked at before anything is confirmed: nobody should have to type a name to learn
/// that it is misspelled.
extension AskingCommand {
    func look() async throws -> StatusReport {
        do { return try await root.client.ask(.status, for: StatusReport.self) } catch {
            throw Failure(error).for(options.output)
        }
    }

    func refuse(_ refused: AdminRefused) -> Failure {
        Failure(Problem(refused)).for(options.output)
    }
}

extension StatusReport {
    /// Why `region` can't become primary, as far as this report tells.
    func refusal(ofSwitchoverTo region: String) -> AdminRefused? {
        if role == .witness { return .node(.witness(cannot: "hands nothing over")) }
        guard quorum.isReached else { return .mesh(noQuorum) }
        let known = members.filter { $0.role == .data }.map(\.region)
        guard known.contains(region) else { return .region(.unknown(name: region, known: known)) }
        return primary?.region == region ? .region(.isPrimary(name: region)) : nil
    }

    /// The volume that this node would delete.
    func victim(named name: String) throws(AdminRefused) -> VolumeReport {
        if role == .witness { throw .node(.witness(cannot: "keeps no volumes")) }
        return try VolumeDeletion(
            quorum: quorum, actsHere: primary?.acting == true, primary: incumbent, volumes: volumes
        ).admit(name)
    }

    private var noQuorum: MeshRefused {
        .noQuorum(reachable: quorum.reachable, needed: quorum.needed)
    }

    private var incumbent: VolumeDeletion.Incumbent? {
        primary.map { primary in
            let isHeard = members.contains { $0.node == primary.node && $0.isHeard }
            return VolumeDeletion.Incumbent(region: primary.region, isHeard: isHeard)
        }
    }
}
