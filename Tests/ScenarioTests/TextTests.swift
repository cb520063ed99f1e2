import Mesh
import Scenario
import Testing

/// Tells what it was asked for.
private struct Echo: ScenarioStage {
    mutating func carryOut(_ command: ScenarioCommand) throws(ScenarioFault) -> [String] {
        switch command.name {
        case "say":
            try command.knows(words: 0...3, options: "twice")
            let word = try command.word(0)
            return command.option("twice") == "yes" ? [word, word] : [word]
        case "link":
            let all = (1...3).map { NodeID($0) }
            return try ScenarioLink.links(try command.word(0), among: all)
                .map { "\($0.from) to \($0.to)" }
        case "wait":
            try command.knows(words: 1...1)
            return ["\(try command.interval(at: 0))"]
        default: throw ScenarioFault("there is no command \(command.name)")
        }
    }
}

@Suite struct `A scenario's text` {
    private func play(_ text: String) throws -> String {
        var stage = Echo()
        return try Scenario(parsing: text).played(on: &stage)
    }

    @Test func `what came of it takes the place of what is written, and all else stays`() throws {
        let text = """
            # One.
            say a
            say b twice=yes
            ----
            old
            # not a remark, for it was told

            # Two.
            wait 250ms
            ----
            """
        let played = try play(text + "\n")
        #expect(
            played == """
                # One.
                say a
                say b twice=yes
                ----
                a
                b
                b

                # Two.
                wait 250ms
                ----
                250ms

                """)
        #expect(try play(played) == played)
        #expect(
            Scenario.difference(of: text, from: played)
                == "line 5 is\nold\nand it went so:\na\nb\nb\n\n# Two.")
        #expect(Scenario.difference(of: played, from: played) == nil)
        #expect(Scenario.difference(of: played + "more", from: played) != nil)
    }

    @Test func `links are one way, both ways, or of groups`() throws {
        #expect(try play("link 1->2\n----") == "link 1->2\n----\n1 to 2")
        #expect(try play("link 1-2\n----") == "link 1-2\n----\n1 to 2\n2 to 1")
        #expect(try play("link *->3\n----") == "link *->3\n----\n1 to 3\n2 to 3")
        #expect(
            try play("link 1,2-3\n----")
                == "link 1,2-3\n----\n1 to 3\n3 to 1\n2 to 3\n3 to 2")
    }

    @Test(arguments: [
        ("say a", "the last block of commands has no ----"),
        ("say a\n\n----", "line 2: a block of commands ends with ----"),
        ("----", "line 1: no command stands before ----"),
        ("say a\nhop\n----", "line 2: there is no command hop"),
        ("say a b c d\n----", "line 1: say takes 0...3 words, not 4"),
        ("say a loud=yes\n----", "line 1: say knows no loud"),
        ("say a twice=yes twice=no\n----", "line 1: twice is said twice"),
        ("say\n----", "line 1: say needs 1 words"),
        ("wait 3m\n----", "line 1: 3m is no time: say 250ms or 3s"),
        ("link 12\n----", "line 1: 12 is no link: say 1-2, 1->2 or 1,2->*"),
        ("link 1-x\n----", "line 1: x is no number"),
    ])
    func `what can't be meant is refused, with its line`(text: String, why: String) throws {
        do {
            _ = try play(text)
            Issue.record("\(text) was played")
        } catch let fault as ScenarioFault {
            #expect(fault.description == why)
        }
    }
}
