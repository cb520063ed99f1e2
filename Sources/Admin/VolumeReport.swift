package enum VolumeMode: String, Codable, Hashable, Sendable, CaseIterable {
    /// A flush is answered once the writes before it are on a quorum.
    case sync
    /// A flush is answered once the writes before it are on the primary's own disk.
    case async
}

package struct VolumeReport: Codable, Hashable, Sendable {
    package var id: UInt64
    package var name: String
    package var byteCount: UInt64
    package var mode: VolumeMode
    /// Served by the answering node now.
    package var isOpen: Bool
    /// Counts the openings of the export, where it is open.
    package var generation: UInt64?
    package var clients: Int
    /// The NBD unix socket, where it is open.
    package var socket: String?
    /// Written and not yet committed.
    package var pendingBytes: UInt64
    /// Blocks of 4 KiB that are damaged on the answering node, and not mended yet.
    package var damagedBlocks: UInt64

    package init(
        id: UInt64, name: String, byteCount: UInt64, mode: VolumeMode, isOpen: Bool,
        generation: UInt64? = nil, clients: Int = 0, socket: String? = nil,
        pendingBytes: UInt64 = 0, damagedBlocks: UInt64 = 0
    ) {
        self.id = id
        self.name = name
        self.byteCount = byteCount
        self.mode = mode
        self.isOpen = isOpen
        self.generation = generation
        self.clients = clients
        self.socket = socket
        self.pendingBytes = pendingBytes
        self.damagedBlocks = damagedBlocks
    }
}

/// `GET /v1/volumes`.
package struct VolumesReport: Codable, Hashable, Sendable {
    package var volumes: [VolumeReport]
    package init(volumes: [VolumeReport]) { self.volumes = volumes }
}

/// The body of `PATCH /v1/volumes/NAME`.
package struct VolumeGrowth: Codable, Hashable, Sendable {
    /// What it shall have; never less than it has.
    package var byteCount: UInt64
    package init(byteCount: UInt64) { self.byteCount = byteCount }
}

/// The body of `POST /v1/volumes/NAME/distrust`: bytes that another member has right.
package struct VolumeDistrust: Codable, Hashable, Sendable {
    package var offset: UInt64
    package var byteCount: UInt64
    package init(offset: UInt64, byteCount: UInt64) {
        (self.offset, self.byteCount) = (offset, byteCount)
    }
}

/// The body of `POST /v1/volumes`.
package struct VolumeRequest: Codable, Hashable, Sendable {
    package var name: String
    package var byteCount: UInt64
    package var mode: VolumeMode

    package init(name: String, byteCount: UInt64, mode: VolumeMode) {
        self.name = name
        self.byteCount = byteCount
        self.mode = mode
    }
}
