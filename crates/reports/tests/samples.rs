//! Reports in the forms that are sent, read back; and what attackers send instead.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod packing;

use packing::{Entry, gzip, zip};
use proptest::prelude::*;
use reports::{Kind, Received, Unread, read};

fn sample(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn dmarc(name: &str) -> Received {
    let report = read(&sample(name)).unwrap();
    assert_eq!((report.kind, report.domain.as_str()), (Kind::Dmarc, "example.com"), "{name}");
    report
}

#[test]
fn a_report_of_rfc_9990() {
    let report = dmarc("rfc9990.xml");
    assert_eq!((report.organization.as_str(), report.report_id.as_str()), ("Example Reporter", "8d2e3c0a7f"));
    assert_eq!((report.begin.secs(), report.end.secs()), (1_795_737_600, 1_795_823_999));
    let dmarc = report.dmarc.unwrap();
    assert_eq!(dmarc.policy, "p=quarantine; sp=none; np=reject; adkim=r; aspf=s; testing=n");
    assert_eq!((dmarc.messages, dmarc.passed), (123, 123));
    let row = &dmarc.rows[0];
    assert_eq!((row.source.as_str(), row.count, row.dkim, row.spf), ("192.0.2.123", 123, true, false));
    assert_eq!(row.results, ["dkim=pass example.com s=abc123", "spf=fail example.com"]);
}

#[test]
fn reports_as_large_providers_send_them() {
    let report = dmarc("large-webmail.xml").dmarc.unwrap();
    assert_eq!((report.messages, report.passed, report.rows.len()), (49, 7, 3));
    let sources: Vec<_> =
        report.rows.iter().map(|row| (row.source.as_str(), row.disposition.as_str())).collect();
    let wanted = [("198.51.100.7", "reject"), ("192.0.2.25", "none"), ("2001:db8:4864:20::e34", "none")];
    assert_eq!(sources, wanted, "the most frequent first");
    assert_eq!(report.rows[2].reasons, ["local_policy", "arc=pass"]);

    let report = dmarc("hosted-office.xml").dmarc.unwrap();
    assert_eq!(report.rows[0].envelope_from, "bounce.example.com");

    let report = dmarc("prefixed.xml");
    assert_eq!(
        (report.organization.as_str(), report.contact.as_str()),
        ("R & D <mail> © A", "postmaster@old.example")
    );
    assert_eq!(report.dmarc.unwrap().passed, 1);
}

#[test]
fn reports_on_tls() {
    let report = read(&sample("tls-webmail.json")).unwrap();
    assert_eq!((report.kind, report.domain.as_str()), (Kind::Tls, "example.com"));
    assert_eq!((report.begin.secs(), report.end.secs()), (1_795_737_600, 1_795_823_999));
    let tally = &report.tls[0];
    assert_eq!((tally.policy.as_str(), tally.successes, tally.failed), ("sts", 112, 3));
    let failures: Vec<_> = tally.failures.iter().map(|one| (one.reason.as_str(), one.count)).collect();
    assert_eq!(failures, [("starttls-not-supported", 2), ("certificate-expired", 1)]);

    let report = read(&sample("tls-hosted.json")).unwrap();
    let tallies: Vec<_> = report.tls.iter().map(|one| (one.policy.as_str(), one.successes)).collect();
    assert_eq!(tallies, [("no-policy-found", 12), ("tlsa", 5)]);
    assert_eq!(report.tls[1].text, ["3 1 1 00ff"]);
    assert_eq!(report.tls[1].failures[0].detail, "tlsa-mismatch");
}

#[test]
fn packed_in_any_way_it_is_the_same() {
    for name in ["large-webmail.xml", "tls-webmail.json"] {
        let plain = sample(name);
        let wanted = read(&plain).unwrap();
        let junk = Entry { name: "__MACOSX/._x.xml", method: 8, data: b"junk" };
        for method in [0, 8] {
            let archive = zip(&[junk, Entry { name, method, data: &plain }], b"with a comment");
            assert_eq!(read(&archive).unwrap(), wanted, "{name} {method}");
        }
        assert_eq!(read(&gzip(&plain)).unwrap(), wanted, "{name}");
        let marked = [b"\xef\xbb\xbf\r\n".as_slice(), &plain].concat();
        assert_eq!(read(&marked).unwrap(), wanted, "{name}");
    }
}

#[test]
fn fault_73_entities_and_document_types_are_refused() {
    let around = |head: &str, organization: &str| {
        let text = String::from_utf8(sample("rfc9990.xml")).unwrap();
        text.replace("<feedback", &format!("{head}<feedback")).replace("Example Reporter", organization)
    };
    let billion = "<!DOCTYPE f [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">]>";
    let outside = "<!DOCTYPE f [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>";
    let elsewhere = "<!DOCTYPE f SYSTEM \"http://192.0.2.1/f.dtd\">";
    for (head, organization) in
        [(billion, "&b;"), (outside, "&x;"), (elsewhere, "x"), ("", "&x;"), ("", "&nbsp;")]
    {
        assert_eq!(
            read(around(head, organization).as_bytes()),
            Err(Unread::Entities),
            "{head} {organization}"
        );
    }
    assert!(read(around("", "&lt;&#65;&gt;").as_bytes()).is_ok());
}

#[test]
fn fault_73_what_inflates_without_end_is_cut_off() {
    let long = vec![b' '; 17 << 20];
    let head = sample("rfc9990.xml");
    let large = [head.as_slice(), &long].concat();
    for archive in [
        gzip(&large),
        // Several members, each of them small.
        gzip(&long[..9 << 20]).repeat(2),
        zip(&[Entry { name: "x.xml", method: 8, data: &large }], b""),
        large,
    ] {
        assert_eq!(read(&archive), Err(Unread::TooLarge), "{} octets", archive.len());
    }
    // A size that says less than there is.
    let mut lying = zip(&[Entry { name: "x.xml", method: 8, data: &vec![b' '; 1 << 20] }], b"");
    let directory = lying.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    lying[directory + 24..directory + 28].copy_from_slice(&100u32.to_le_bytes());
    assert!(matches!(read(&lying), Err(Unread::Archive(_))));
}

#[test]
fn fault_73_depth_rows_and_texts_have_bounds() {
    let deep = "<feedback>".repeat(100_000);
    assert_eq!(read(deep.as_bytes()), Err(Unread::TooDeep));
    let deep = format!("{{\"policies\":{}", "[".repeat(100_000));
    assert!(matches!(read(deep.as_bytes()), Err(Unread::Malformed(_))));

    let text = String::from_utf8(sample("rfc9990.xml")).unwrap();
    let (head, rest) = text.split_once("<record>").unwrap();
    let (record, tail) = rest.split_once("</record>").unwrap();
    let rows: String = (0..10_000)
        .map(|number| format!("<record>{}</record>", record.replace(">123<", &format!(">{number}<"))))
        .collect();
    let report = read(format!("{head}{rows}{tail}").as_bytes()).unwrap();
    let dmarc = report.dmarc.unwrap();
    assert_eq!((dmarc.rows.len(), report.left_out), (250, 9_750));
    assert_eq!((dmarc.rows[0].count, dmarc.messages), (9_999, 10_000 * 9_999 / 2));

    let wide = text.replace("Example Reporter", &"x".repeat(1 << 20));
    assert_eq!(read(wide.as_bytes()).unwrap().organization.len(), 255);
    let many = "<a/>".repeat(3_000_000);
    assert_eq!(read(format!("<feedback>{many}</feedback>").as_bytes()), Err(Unread::TooDeep));
    // Three octets each in the text, and a few hundred in memory.
    let many = "{},".repeat(5_000_000);
    let many = format!("{{\"policies\":[{{\"failure-details\":[{many}{{}}]}}]}}");
    assert_eq!(read(&gzip(many.as_bytes())), Err(Unread::TooDeep));
}

#[test]
fn what_is_no_report_says_why() {
    let plain = sample("rfc9990.xml");
    let encrypted = {
        let mut archive = zip(&[Entry { name: "x.xml", method: 8, data: &plain }], b"");
        let directory = archive.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
        archive[directory + 8] |= 1;
        archive
    };
    for (bytes, wanted) in [
        (b"".to_vec(), "in a form that is known"),
        (b"Hello".to_vec(), "in a form that is known"),
        (b"PK\x03\x04".to_vec(), "no directory"),
        (encrypted, "encrypted"),
        (zip(&[Entry { name: "readme.txt", method: 0, data: b"x" }], b""), "no report in it"),
        (gzip(&plain)[..200].to_vec(), "damaged"),
        (b"<html><body>x</body></html>".to_vec(), "lacks the element feedback"),
        (b"<feedback></feedback>".to_vec(), "lacks the domain"),
        (b"<feedback><a></b></feedback>".to_vec(), "not well-formed"),
        (b"<feedback/><feedback/>".to_vec(), "not well-formed"),
        (b"{\"policies\": 1}".to_vec(), "not the JSON of a report"),
        (b"{}".to_vec(), "lacks the time"),
    ] {
        let said = read(&bytes).unwrap_err().to_string();
        assert!(said.contains(wanted), "{said} of {:?}", String::from_utf8_lossy(&bytes));
    }
}

proptest! {
    /// Whatever is broken in a report, reading it ends, and what it gives is within its bounds.
    #[test]
    fn damaged_reports_are_read_or_refused(
        number in 0..6usize,
        packed in 0..3u8,
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
    ) {
        let names =
            ["rfc9990.xml", "large-webmail.xml", "hosted-office.xml", "prefixed.xml", "tls-webmail.json", "tls-hosted.json"];
        let plain = sample(names[number]);
        let mut bytes = match packed {
            0 => plain,
            1 => gzip(&plain),
            _ => zip(&[Entry { name: "x.xml", method: 8, data: &plain }], b""),
        };
        for (at, byte) in damages {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(report) = read(&bytes) {
            prop_assert!(report.organization.len() <= 255 && report.domain.len() <= 3 * 255);
            prop_assert!(report.id().to_string().parse() == Ok(report.id()));
        }
    }
}
