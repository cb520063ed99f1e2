package import Repository
internal import S3Protocol

extension S3Store {
    /// Ten million objects: more than a process could hold the names of.
    static let pagesMax = 10_000

    package func list(_ part: ObjectName?) throws(ObjectStoreFailure) -> ObjectListing {
        let deed = S3Deed("list", part?.text ?? "all")
        let beginning = beginning(of: part)
        var listing = ObjectListing()
        var token: String?
        for _ in 0..<Self.pagesMax {
            let page = try page(beginning, token, deed)
            for entry in page.entries { try take(entry, into: &listing, deed) }
            guard let next = page.next else { return try sorted(listing, deed) }
            guard next != token else {
                throw failure(
                    deed, .service("its list goes in circles: that is a fault of the store"))
            }
            token = next
        }
        throw failure(
            deed,
            .service("its list has more than \(Self.pagesMax) pages: too much for one repository"))
    }

    /// All versions of all objects, by name, the newest of each first.
    func versions(
        of part: ObjectName?, _ deed: S3Deed
    ) throws(ObjectStoreFailure) -> [String: [S3VersionPage.Entry]] {
        let beginning = beginning(of: part)
        var found: [String: [S3VersionPage.Entry]] = [:]
        var after: (key: String, version: String)?
        for _ in 0..<Self.pagesMax {
            let page = try versionPage(beginning, after, deed)
            for entry in page.entries {
                guard let name = place.name(entry.key) else {
                    let key = S3Problem.shown(entry.key)
                    throw failure(
                        deed, .service("its list names \(key), which was not asked for"))
                }
                found[name, default: []].append(entry)
            }
            guard let next = page.next else {
                return found.mapValues { $0.sorted(by: S3VersionPage.Entry.isNewer) }
            }
            guard after.map({ $0 != next }) ?? true else {
                throw failure(
                    deed, .service("its list goes in circles: that is a fault of the store"))
            }
            after = next
        }
        throw failure(
            deed,
            .service("its list has more than \(Self.pagesMax) pages: too much for one repository"))
    }

    private func versionPage(
        _ beginning: String, _ after: (key: String, version: String)?, _ deed: S3Deed
    ) throws(ObjectStoreFailure) -> S3VersionPage {
        var query = [("versions", ""), ("encoding-type", "url"), ("prefix", beginning)]
        if let after {
            query.append(("key-marker", after.key))
            if !after.version.isEmpty { query.append(("version-id-marker", after.version)) }
        }
        let told = try ask(S3Request(.get, path: place.path, query: query), deed) { answer in
            do throws(S3ListPage.Refused) {
                _ = try S3VersionPage(parsing: answer.body)
                return nil
            } catch { return error.description }
        }
        guard told.verdict == .done else { throw failure(deed, told.verdict.causeOfNone) }
        do throws(S3ListPage.Refused) {
            return try S3VersionPage(parsing: told.answer.body)
        } catch { throw failure(deed, .service(error.description)) }
    }

    private func beginning(of part: ObjectName?) -> String {
        part.map { place.key($0.text) + "/" }
            ?? (place.prefix.isEmpty ? "" : place.prefix + "/")
    }

    /// All names in the quarantine that begin so.
    func quarantined(
        beginning: String, _ deed: S3Deed
    ) throws(ObjectStoreFailure) -> [String] {
        var (names, token): ([String], String?) = ([], nil)
        for _ in 0..<Self.pagesMax {
            let page = try page(place.key("\(Self.quarantine)/\(beginning)"), token, deed)
            names += page.entries.compactMap { place.name($0.key) }
            guard let next = page.next, next != token else { return names }
            token = next
        }
        return names
    }

    private func page(
        _ beginning: String, _ token: String?, _ deed: S3Deed
    ) throws(ObjectStoreFailure) -> S3ListPage {
        var query = [("list-type", "2"), ("encoding-type", "url"), ("prefix", beginning)]
        if let token { query.append(("continuation-token", token)) }
        let request = S3Request(.get, path: place.path, query: query)
        let told = try ask(request, deed) { answer in
            do throws(S3ListPage.Refused) {
                _ = try S3ListPage(parsing: answer.body)
                return nil
            } catch { return error.description }
        }
        guard told.verdict == .done else { throw failure(deed, told.verdict.causeOfNone) }
        do throws(S3ListPage.Refused) { return try S3ListPage(parsing: told.answer.body) } catch {
            throw failure(deed, .service(error.description))
        }
    }

    private func take(
        _ entry: S3ListPage.Entry, into listing: inout ObjectListing, _ deed: S3Deed
    ) throws(ObjectStoreFailure) {
        guard let text = place.name(entry.key) else {
            let key = S3Problem.shown(entry.key)
            throw failure(deed, .service("its list names \(key), which was not asked for"))
        }
        if text == Self.trial || text.hasPrefix(Self.quarantine + "/") { return }
        if let name = ObjectName(text) {
            listing.objects.append(.init(name: name, byteCount: entry.byteCount))
        } else {
            listing.strangers.append(text)
        }
    }

    private func sorted(
        _ listing: ObjectListing, _ deed: S3Deed
    ) throws(ObjectStoreFailure) -> ObjectListing {
        var listing = listing
        listing.objects.sort { $0.name < $1.name }
        listing.strangers.sort()
        for (one, next) in zip(listing.objects, listing.objects.dropFirst())
        where one.name == next.name {
            throw failure(
                deed, .service("its list names \(one.name) twice: that is a fault of the store"))
        }
        return listing
    }
}
