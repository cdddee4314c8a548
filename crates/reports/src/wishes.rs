//! Who wants a report: what domains say in DNS, and whether those whom they name agree.

use std::sync::Arc;
use std::time::Duration;

use dns::{DnsError, Name, Question, Record, Resolver};

/// The most addresses that get one report.
const ADDRESSES: usize = 5;
/// How long it may take to find out to whom two names belong.
const TIME: Duration = Duration::from_secs(20);

/// Somebody who wants a report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reader {
    /// The address.
    pub address: String,
    /// The largest message that it wants, in octets (RFC 7489 §6.2).
    pub largest: Option<u64>,
}

/// Who wants a report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wish {
    /// These.
    Readers(Vec<Reader>),
    /// Nobody whom it could be sent to, for this reason.
    Nobody(&'static str),
    /// DNS did not say; ask again later.
    Later(String),
}

impl Wish {
    fn of(readers: Vec<Reader>, otherwise: &'static str) -> Self {
        if readers.is_empty() { Self::Nobody(otherwise) } else { Self::Readers(readers) }
    }
}

/// Who wants to hear how TLS goes on the way to a domain (RFC 8460 §3). Addresses by mail only: a report by HTTPS would
/// need a client that posts to addresses which strangers choose.
pub async fn tls_readers(resolver: &Arc<dyn Resolver>, domain: &str) -> Wish {
    let Some(place) = Name::parse(domain).and_then(|name| name.below("_smtp._tls")) else {
        return Wish::Nobody("the domain is no name");
    };
    let texts = match texts(resolver, place).await {
        Ok(texts) => texts,
        Err(why) => return Wish::Later(why),
    };
    let mut records = texts.iter().filter_map(|text| fields(text, "TLSRPTv1"));
    match (records.next(), records.next()) {
        (None, _) => Wish::Nobody("the domain has no TLS-RPT record"),
        // §3: of several records none counts.
        (Some(_), Some(_)) => Wish::Nobody("the domain has several TLS-RPT records"),
        (Some(fields), None) => Wish::of(readers(&fields), "the domain wants no reports by mail"),
    }
}

/// Who wants to hear what becomes of mail in a domain's name (RFC 9990 §4, RFC 7489 §7.1). Somebody elsewhere must say in
/// DNS that it wants reports on this domain: else anybody could have them sent to anybody.
pub async fn dmarc_readers(resolver: &Arc<dyn Resolver>, domain: &str) -> Wish {
    let Some(domain) = Name::parse(domain) else { return Wish::Nobody("the domain is no name") };
    let Some(place) = domain.below("_dmarc") else { return Wish::Nobody("the domain's name is too long") };
    let texts = match texts(resolver, place).await {
        Ok(texts) => texts,
        Err(why) => return Wish::Later(why),
    };
    let mut records = texts.iter().filter_map(|text| fields(text, "DMARC1"));
    let (Some(fields), None) = (records.next(), records.next()) else {
        return Wish::Nobody("the domain has no DMARC record any more");
    };
    let mut agreed = Vec::new();
    for reader in readers(&fields) {
        match agreement(resolver, &domain, reader).await {
            Ok(Some(reader)) if !agreed.contains(&reader) => agreed.push(reader),
            Ok(_) => {}
            Err(why) => return Wish::Later(why),
        }
    }
    Wish::of(agreed, "nobody whom the domain names wants the report")
}

/// The reader as it agrees to be one; none if it does not.
async fn agreement(
    resolver: &Arc<dyn Resolver>,
    domain: &Name,
    reader: Reader,
) -> Result<Option<Reader>, String> {
    let Some(host) = host(&reader.address) else { return Ok(None) };
    if host == *domain || same_organization(resolver, domain, &host).await? {
        return Ok(Some(reader));
    }
    let Some(place) = host.below(&format!("{domain}._report._dmarc")) else { return Ok(None) };
    let texts = texts(resolver, place).await?;
    let Some(fields) = texts.iter().find_map(|text| fields(text, "DMARC1")) else { return Ok(None) };
    match readers(&fields).into_iter().next() {
        None => Ok(Some(reader)),
        // It may prefer another address, but only at the same host.
        Some(other) => Ok((self::host(&other.address).as_ref() == Some(&host)).then_some(other)),
    }
}

async fn same_organization(resolver: &Arc<dyn Resolver>, one: &Name, other: &Name) -> Result<bool, String> {
    // Names of one organization end alike: others need no look.
    let last_two = |name: &Name| name.labels().rev().take(2).map(str::to_owned).collect::<Vec<_>>();
    if last_two(one) != last_two(other) {
        return Ok(false);
    }
    let organization = async |name: &Name| {
        checks::organization(resolver, name, TIME).await.map_err(|error| error.to_string())
    };
    Ok(organization(one).await? == organization(other).await?)
}

fn host(address: &str) -> Option<Name> {
    Name::parse(address.rsplit_once('@')?.1)
}

async fn texts(resolver: &Arc<dyn Resolver>, place: Name) -> Result<Vec<Vec<u8>>, String> {
    match resolver.ask(&Question::Txt(place)).await {
        Ok(answer) => Ok(answer
            .records
            .into_iter()
            .filter_map(|record| match record {
                Record::Txt(text) => Some(text),
                _ => None,
            })
            .collect()),
        Err(DnsError::NoSuchName) => Ok(Vec::new()),
        Err(error) => Err(error.to_string()),
    }
}

/// The fields of a record of this version: names in lower case, and values.
fn fields(text: &[u8], version: &str) -> Option<Vec<(String, String)>> {
    let text = std::str::from_utf8(text).ok()?;
    let pair = |part: &str| {
        let (name, value) = part.split_once('=')?;
        Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
    };
    let fields: Vec<_> = text.split(';').filter_map(pair).take(50).collect();
    let (name, value) = fields.first()?;
    (name == "v" && value == version).then_some(fields)
}

/// The addresses of `rua`.
fn readers(fields: &[(String, String)]) -> Vec<Reader> {
    let Some((_, uris)) = fields.iter().find(|(name, _)| name == "rua") else { return Vec::new() };
    uris.split(',').filter_map(|uri| reader(uri.trim())).take(ADDRESSES).collect()
}

/// An address and a size, from a URI such as `mailto:dmarc@example.com!10m` (RFC 7489 §6.2, RFC 6068).
fn reader(uri: &str) -> Option<Reader> {
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("mailto") {
        return None;
    }
    let (address, largest) = match rest.rsplit_once('!') {
        Some((address, size)) => (address, Some(octets(size)?)),
        None => (rest, None),
    };
    let address = unescaped(address.split('?').next()?)?;
    let (local, domain) = address.rsplit_once('@')?;
    // What is quoted, or has UTF-8 in it, is nobody's address for reports.
    let atom = |b: u8| b.is_ascii_alphanumeric() || b".!#$%&'*+-/=?^_`{|}~".contains(&b);
    let fits = (1..=64).contains(&local.len()) && local.bytes().all(atom);
    let domain = Name::parse(domain).filter(|domain| fits && domain.is_qualified())?;
    Some(Reader { address: format!("{local}@{domain}"), largest })
}

fn octets(size: &str) -> Option<u64> {
    let digits = size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match size.get(digits.len()..)?.to_ascii_lowercase().as_str() {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(text: &str) -> Arc<dyn Resolver> {
        Arc::new(dns::Zone::parse(text).unwrap())
    }

    fn to(addresses: &[&str]) -> Wish {
        let reader = |address: &&str| Reader { address: (*address).to_owned(), largest: None };
        Wish::Readers(addresses.iter().map(reader).collect())
    }

    #[test]
    fn uris() {
        let table = [
            ("mailto:a@example.com", Some(("a@example.com", None))),
            ("MAILTO:a@Example.COM!10m", Some(("a@example.com", Some(10 << 20)))),
            ("mailto:a%2Bb@example.com!512", Some(("a+b@example.com", Some(512)))),
            ("mailto:a%21b@example.com", Some(("a!b@example.com", None))),
            ("mailto:a@example.com?subject=x", Some(("a@example.com", None))),
            ("mailto:a@example.com!10x", None),
            ("mailto:a%0d%0a@example.com", None),
            ("mailto:a@localhost", None),
            ("mailto:a b@example.com", None),
            ("mailto:@example.com", None),
            ("mailto:a%2", None),
            ("https://example.com/report", None),
            ("", None),
        ];
        for (uri, wanted) in table {
            let found = reader(uri).map(|reader| (reader.address, reader.largest));
            assert_eq!(found, wanted.map(|(address, size)| (address.to_owned(), size)), "{uri}");
        }
    }

    #[tokio::test]
    async fn who_wants_to_hear_of_tls() {
        let zone = zone(
            "_smtp._tls.a.test TXT v=TLSRPTv1; rua=mailto:t@a.test,https://a.test/x,mailto:u@else.test
             _smtp._tls.b.test TXT v=TLSRPTv1; rua=https://b.test/x
             _smtp._tls.c.test TXT v=TLSRPTv1;rua=mailto:t@c.test
             _smtp._tls.c.test TXT v=TLSRPTv1;rua=mailto:u@c.test
             _smtp._tls.d.test SERVFAIL
             _smtp._tls.e.test TXT v=spf1 -all",
        );
        assert_eq!(tls_readers(&zone, "a.test").await, to(&["t@a.test", "u@else.test"]));
        for domain in ["b.test", "c.test", "e.test", "f.test"] {
            assert!(matches!(tls_readers(&zone, domain).await, Wish::Nobody(_)), "{domain}");
        }
        assert!(matches!(tls_readers(&zone, "d.test").await, Wish::Later(_)));
    }

    #[tokio::test]
    async fn who_wants_to_hear_of_mail_must_agree() {
        let zone = zone(
            "_dmarc.a.test TXT v=DMARC1; p=none; rua=mailto:d@a.test, mailto:d@sub.a.test!1k,mailto:x@victim.test
             _dmarc.b.test TXT v=DMARC1; p=none; rua=mailto:b@reader.test,mailto:b@other.test,mailto:b@liar.test
             b.test._report._dmarc.reader.test TXT v=DMARC1
             b.test._report._dmarc.other.test TXT v=DMARC1; rua=mailto:better@other.test
             b.test._report._dmarc.liar.test TXT v=DMARC1; rua=mailto:x@victim.test
             _dmarc.c.test TXT v=DMARC1; p=none; rua=mailto:c@silent.test
             c.test._report._dmarc.silent.test SERVFAIL
             _dmarc.d.test TXT v=DMARC1; p=none",
        );
        let Wish::Readers(readers) = dmarc_readers(&zone, "a.test").await else { panic!() };
        let found: Vec<_> = readers.iter().map(|reader| (reader.address.as_str(), reader.largest)).collect();
        assert_eq!(found, [("d@a.test", None), ("d@sub.a.test", Some(1024))]);
        assert_eq!(dmarc_readers(&zone, "b.test").await, to(&["b@reader.test", "better@other.test"]));
        assert!(matches!(dmarc_readers(&zone, "c.test").await, Wish::Later(_)));
        assert!(matches!(dmarc_readers(&zone, "d.test").await, Wish::Nobody(_)));
    }
}
