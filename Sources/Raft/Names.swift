// The module and its core share a name, so a nested name can't be reached through the module.
package typealias RaftEvent = Event
package typealias RaftEffect = Effect
package typealias RaftRole = Role
