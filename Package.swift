// swift-tools-version: 6.3
import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]

/// Touches no clock, chance, file, socket, task or log; Tests/HouseTests hold it to that.
/// Optimised in debug builds too: tests turn these by the million, and a simulated minute must not
/// take a real one.
func pure(_ name: String, _ rooms: [Target.Dependency]) -> Target {
    .target(
        name: name, dependencies: rooms,
        swiftSettings: strict + [.unsafeFlags(["-O"], .when(configuration: .debug))])
}

/// Talks to the world; never imports another shell.
func shell(_ name: String, _ rooms: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: rooms, swiftSettings: strict)
}

func executable(_ name: String, _ rooms: [Target.Dependency], path: String) -> Target {
    .executableTarget(name: name, dependencies: rooms, path: path, swiftSettings: strict)
}

func tests(_ name: String, _ rooms: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: rooms, swiftSettings: strict)
}

let asyncHTTP = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let argumentParser = Target.Dependency.product(
    name: "ArgumentParser", package: "swift-argument-parser")
let locks = Target.Dependency.product(name: "NIOConcurrencyHelpers", package: "swift-nio")
let nio = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioTLS = Target.Dependency.product(name: "NIOTLS", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let x509 = Target.Dependency.product(name: "X509", package: "swift-certificates")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let asn1 = Target.Dependency.product(name: "SwiftASN1", package: "swift-asn1")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")

// Intel's multi-buffer library is for these processors only; others name one text after the other.
#if arch(x86_64)
    let multiBuffer: [LinkerSetting] = [.linkedLibrary(":libIPSec_MB.a")]
#else
    let multiBuffer: [LinkerSetting] = []
#endif

let package = Package(
    name: "holdfast",
    products: [
        .executable(name: "holdfast-agent", targets: ["Agent"]),
        .executable(name: "holdfast-witness", targets: ["Witness"]),
        .executable(name: "holdfast", targets: ["Holdfast"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        .target(name: "CChecksum"),
        // In the program itself: a host needs no library of it.
        .target(name: "CCompression", linkerSettings: [.linkedLibrary(":liblz4.a")]),
        .target(name: "CNames", linkerSettings: multiBuffer),
        pure("Admin", []),
        pure("Alarms", ["Admin", "Mesh"]),
        pure("Decisions", ["Mesh", "Planted"]),
        pure("Disk", []),
        pure("Gossip", ["Mesh", "Planted"]),
        pure("GossipSim", ["Gossip", "Mesh"]),
        pure("Scenario", ["Mesh"]),
        .target(name: "CAllocator"),
        .target(name: "CDisk"),
        .target(name: "CNaming"),
        .target(name: "CSpawn"),
        .target(name: "CPassphrase", linkerSettings: [.linkedLibrary(":libargon2.a")]),
        shell("Children", ["CSpawn", "Mesh"]),
        shell("Journal", ["CDisk", "Disk", "JournalCore", "Mesh", "Record", locks]),
        pure("JournalCore", ["Disk", "Mesh", "Planted", "Record"]),
        shell(
            "KeyServices", ["Children", "Mesh", "Repository", "S3Protocol", "S3Store", "Sealing"]),
        pure("Mending", ["Mesh", "Record"]),
        pure("Mesh", []),
        shell(
            "Mounts",
            ["Backup", "CDisk", "Mesh", "VolumeCore", "Volumes", locks, logging, nio]),
        pure("NBDProtocol", []),
        pure(
            "Node",
            [
                "Decisions", "Gossip", "Mending", "Mesh", "Planted", "Raft", "Record", "VolumeCore",
                "Voting", "Wire",
            ]),
        pure("Pacing", ["Mesh"]),
        pure("Planted", []),
        pure(
            "PowerCut", ["Disk", "JournalCore", "Mesh", "Record", "SimulatedDisk", "VolumeCore"]),
        pure("Raft", ["Mesh", "Planted", "Record"]),
        pure("Record", ["CChecksum", "Mesh"]),
        pure("Replay", ["Decisions", "Mesh", "Node", "Record", "VolumeCore"]),
        pure("Repository", ["CCompression", "Mesh", "Record", "Sealing"]),
        pure("Retention", ["Mesh"]),
        pure("Schedule", ["Decisions", "Mesh"]),
        pure("Sealing", ["CNames", "CPassphrase", "Mesh", crypto]),
        pure("SimulatedDisk", ["Disk", "Mesh"]),
        pure(
            "Simulator",
            [
                "Decisions", "Disk", "Gossip", "JournalCore", "Mending", "Mesh", "Node", "Planted",
                "Raft", "Record", "SimulatedDisk", "VolumeCore", "Voting", "Wire",
            ]),
        pure("VolumeCore", ["Disk", "Mesh", "Planted", "Record"]),
        pure("Voting", ["Gossip", "Mesh", "Raft"]),
        pure("Wire", ["Decisions", "Mesh", protobuf]),
        executable(
            "simulate", ["GossipSim", "Mesh", "Planted", "PowerCut", "Simulator", locks],
            path: "Sources/Simulate"),
        shell("Driver", ["Mesh", locks]),
        .target(name: "CFuzzer"),
        shell(
            "Fuzzing",
            [
                "Admin", "Alarms", "Certificates", "Control", "Decisions", "Disk", "Gossip",
                "JournalCore", "Mending", "Mesh", "NBDProtocol", "Node", "Raft", "Record",
                "Repository", "Schedule", "Sealing", "Settings", "SimulatedDisk", "Store",
                "Transport",
                "VolumeCore", "Voting", "Wire", asn1, nio, x509,
            ]),
        executable("fuzz", ["CFuzzer", "Fuzzing"], path: "Sources/Fuzz"),
        shell(
            "Backup",
            [
                "Admin", "CDisk", "CNaming", "Mesh", "Pacing", "Record", "Repository", "Retention",
                "Sealing", locks,
            ]),
        shell("Copies", ["Repository", locks]),
        shell("ObjectStores", ["CNaming", "Repository", locks]),
        pure("S3Protocol", ["Mesh", "Sealing", crypto]),
        shell(
            "S3Store",
            [
                "Mesh", "Pacing", "Repository", "S3Protocol", "Sealing", asyncHTTP, locks, nio,
                nioHTTP1, nioPosix, nioSSL,
            ]
        ),
        shell(
            "Revival",
            [
                "Backup", "Disk", "Journal", "JournalCore", "Mesh", "Raft", "Record", "Sealing",
                "Store", "VolumeCore", locks,
            ]),
        shell("Store", ["Mesh"]),
        shell(
            "StoreChoice",
            [
                "Backup", "Copies", "KeyServices", "Mesh", "ObjectStores", "Pacing", "Repository",
                "S3Protocol",
                "S3Store", "Sealing", "Settings",
            ]),
        shell("Certificates", ["Mesh", asn1, crypto, x509]),
        shell(
            "Launch",
            [
                "Admin", "Alarms", "CAllocator", "Control", "Decisions", "Disk", "Gossip",
                "Journal", "JournalCore", "Mending", "Mesh", "Raft", "Record", "Schedule",
                "Settings",
                "Store", "Transport", "Voting", locks, logging,
            ]),
        executable(
            "Agent",
            [
                "Admin", "Alarms", "Backup", "Control", "Decisions", "Disk", "Driver", "Gossip",
                "Journal", "JournalCore", "Launch", "Mending", "Mesh", "Node", "Raft",
                "Record", "Repository", "Schedule", "Sealing", "Settings", "Store", "StoreChoice",
                "Transport",
                "VolumeCore", "Volumes", "Voting", "Wire", locks, logging,
            ], path: "Sources/Agent"),
        executable(
            "Witness",
            [
                "Admin", "Alarms", "Control", "Driver", "Gossip", "Journal", "JournalCore",
                "Launch", "Mending", "Mesh", "Raft", "Record", "Settings", "Store", "Transport",
                "Voting",
                locks, logging,
            ], path: "Sources/Witness"),
        shell("Control", ["Admin", locks, logging, nio, nioHTTP1, nioPosix]),
        shell("Settings", ["Decisions", "Mesh", "Schedule", yams]),
        shell(
            "Volumes",
            [
                "Disk", "Mesh", "NBDProtocol", "Record", "VolumeCore", locks, logging, nio,
                nioPosix, nioSSL,
            ]),
        shell("Transport", ["Mesh", locks, logging, nio, nioPosix, nioSSL, nioTLS]),
        executable(
            "Holdfast",
            [
                "Admin", "Alarms", "Backup", "Certificates", "Control", "Decisions", "Disk",
                "Journal", "JournalCore", "Launch", "Mesh", "Mounts", "NBDProtocol", "Pacing",
                "Record", "Replay", "Repository", "Retention", "Revival", "Schedule", "Sealing",
                "Settings",
                "Store",
                "StoreChoice", "VolumeCore", "Wire",
                "Children", argumentParser, locks, yams,
            ], path: "Sources/Holdfast"),
        tests("AdminTests", ["Admin"]),
        tests("AlarmsTests", ["Admin", "Alarms", "Mesh"]),
        tests(
            "BackupTests",
            [
                "Backup", "Copies", "Mesh", "ObjectStores", "Pacing", "Record", "Repository",
                "Retention", "Sealing", locks,
            ]),
        // What several of them stand in for.
        .target(
            name: "Doubles", dependencies: ["Admin", "Control"], path: "Tests/Doubles",
            swiftSettings: strict),
        tests("CertificatesTests", ["Certificates", "Mesh", asn1, x509]),
        tests(
            "ControlTests",
            ["Admin", "Control", "Doubles", locks, logging, nio, nioHTTP1, nioPosix]),
        tests("CopiesTests", ["Copies", "Mesh", "ObjectStores", "Repository", "Sealing", locks]),
        tests("DecisionsTests", ["Decisions", "Mesh"]),
        tests("DriverTests", ["Driver", "Mesh", locks]),
        tests("FuzzingTests", ["Fuzzing"]),
        tests("GossipTests", ["Gossip", "GossipSim", "Mesh", "Scenario"]),
        tests(
            "HoldfastTests",
            [
                "Admin", "Alarms", "Backup", "Control", "Disk", "Doubles", "Holdfast", "Journal",
                "JournalCore", "Mesh", "Pacing", "Record",
                argumentParser, logging,
            ]),
        tests("HouseTests", []),
        tests(
            "JournalCoreTests",
            ["Disk", "JournalCore", "Mesh", "PowerCut", "Record", "SimulatedDisk"]),
        tests(
            "JournalTests",
            ["Disk", "Journal", "JournalCore", "Mesh", "Record", "SimulatedDisk", locks]),
        tests("ChildrenTests", ["Children", "Mesh"]),
        tests(
            "KeyServicesTests",
            [
                "Backup", "KeyServices", "Mesh", "ObjectStores", "Repository", "S3Protocol",
                "S3Store", "Sealing", locks,
            ]),
        tests(
            "LaunchTests",
            [
                "Admin", "Alarms", "Control", "Disk", "Gossip", "Launch", "Mesh", "Raft", "Record",
                "Settings", "Store", "Voting", logging,
            ]),
        tests("MendingTests", ["Mending", "Mesh", "Record"]),
        tests("MeshTests", ["Mesh"]),
        tests("MountsTests", ["Backup", "Mesh", "Mounts", locks]),
        tests("NBDProtocolTests", ["NBDProtocol"]),
        tests(
            "NodeTests",
            [
                "Decisions", "Gossip", "Mending", "Mesh", "Node", "Raft", "Record", "VolumeCore",
                "Voting", "Wire",
            ]),
        tests(
            "ObjectStoresTests",
            ["Mesh", "ObjectStores", "Repository", "S3Protocol", "S3Store", "Sealing", locks]),
        tests("PacingTests", ["Mesh", "Pacing"]),
        tests("PowerCutTests", ["Mesh", "PowerCut"]),
        tests("RaftTests", ["Mesh", "Raft", "Record", "Scenario"]),
        tests("RecordTests", ["CChecksum", "Mesh", "Record"]),
        tests(
            "ReplayTests",
            [
                "Decisions", "Mesh", "Record", "Replay", "VolumeCore", "Wire",
            ]),
        tests("RepositoryTests", ["Mesh", "Record", "Repository", "Sealing"]),
        tests("RetentionTests", ["Mesh", "Retention"]),
        tests(
            "RevivalTests",
            [
                "Disk", "Journal", "JournalCore", "Mesh", "Raft", "Record", "Revival", "Store",
                "VolumeCore",
            ]),
        tests("S3ProtocolTests", ["Mesh", "S3Protocol", "Sealing"]),
        tests("ScenarioTests", ["Mesh", "Scenario"]),
        tests("ScheduleTests", ["Decisions", "Mesh", "Schedule"]),
        tests("SealingTests", ["Mesh", "Sealing"]),
        tests("SimulatorTests", ["Mesh", "Simulator", "VolumeCore"]),
        tests("SettingsTests", ["Decisions", "Mesh", "Schedule", "Settings"]),
        tests("StoreTests", ["Mesh", "Store"]),
        tests(
            "TransportTests",
            ["Certificates", "Mesh", "Transport", locks, logging, nio, nioPosix, nioSSL]),
        tests("VolumeCoreTests", ["Disk", "Mesh", "Record", "SimulatedDisk", "VolumeCore"]),
        tests(
            "VolumesTests",
            ["Disk", "Journal", "Mesh", "Record", "VolumeCore", "Volumes", locks, logging]),
        tests("WireTests", ["Decisions", "Mesh", "Wire", protobuf]),
        // Millions of moments: minutes without the optimiser, seconds with it.
        .testTarget(
            name: "WitnessRuleTests", swiftSettings: strict + [.unsafeFlags(["-O"])]),
    ],
    swiftLanguageModes: [.v6]
)
