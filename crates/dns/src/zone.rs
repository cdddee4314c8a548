//! A resolver that answers from a table: for tests, which then say in a few lines what the world looks like.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use thiserror::Error;

use crate::{Answer, DnsError, Name, Question, Record, Resolver, Security, Tlsa};

/// The longest chain of aliases that is followed.
const ALIASES: usize = 8;

/// Answers from a table. A name with no record at or below it does not exist.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    records: HashMap<Question, Vec<Record>>,
    aliases: HashMap<Name, Name>,
    names: HashSet<Name>,
    states: Vec<(Name, State)>,
    asked: Arc<Mutex<Vec<Question>>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Signed,
    Bogus,
    Broken,
    Silent,
}

/// A line of a zone that says nothing.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("this is no record: {0}; wanted: NAME KIND VALUE")]
pub struct ZoneError(String);

impl Zone {
    /// Reads one record a line: name, kind, value. Kinds are TXT, A, AAAA, MX, TLSA (three numbers and octets in
    /// hexadecimal), CNAME, PTR (whose name is an address); and, without a value, what is to be thought of a name:
    /// SIGNED (with all below it), BOGUS, SERVFAIL, SILENT.
    ///
    /// # Errors
    /// [`ZoneError`] with the first line that is none of that.
    pub fn parse(text: &str) -> Result<Self, ZoneError> {
        let mut zone = Self::default();
        zone.add(text)?;
        Ok(zone)
    }

    /// Adds records to those that are there.
    ///
    /// # Errors
    /// Like [`Self::parse`].
    pub fn add(&mut self, text: &str) -> Result<(), ZoneError> {
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            self.line(line).ok_or_else(|| ZoneError(line.chars().take(80).collect()))?;
        }
        Ok(())
    }

    /// All that was asked so far, of this zone and its clones.
    pub fn asked(&self) -> Vec<Question> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let mut words = line.splitn(3, ' ');
        let (owner, kind, value) = (words.next()?, words.next()?, words.next().unwrap_or(""));
        if kind == "PTR" {
            let question = Question::Ptr(owner.parse().ok()?);
            self.records.entry(question).or_default().push(Record::Ptr(Name::parse(value)?));
            return Some(());
        }
        let owner = Name::parse(owner)?;
        let (question, record) = match kind {
            "TXT" => (Question::Txt(owner.clone()), Record::Txt(value.as_bytes().to_vec())),
            "A" => (Question::Ipv4(owner.clone()), Record::Ipv4(value.parse().ok()?)),
            "AAAA" => (Question::Ipv6(owner.clone()), Record::Ipv6(value.parse().ok()?)),
            "MX" => {
                let (preference, host) = value.split_once(' ')?;
                let host = if host == "." { None } else { Some(Name::parse(host)?) };
                (Question::Mx(owner.clone()), Record::Mx(preference.parse().ok()?, host))
            }
            "TLSA" => (Question::Tlsa(owner.clone()), Record::Tlsa(tlsa(value)?)),
            _ => return self.remark(owner, kind, value),
        };
        self.records.entry(question).or_default().push(record);
        self.know(&owner);
        Some(())
    }

    fn remark(&mut self, owner: Name, kind: &str, value: &str) -> Option<()> {
        let state = match kind {
            "CNAME" => {
                self.know(&owner);
                self.aliases.insert(owner, Name::parse(value)?);
                return Some(());
            }
            "SIGNED" => State::Signed,
            "BOGUS" => State::Bogus,
            "SERVFAIL" => State::Broken,
            "SILENT" => State::Silent,
            _ => return None,
        };
        self.states.push((owner, state));
        Some(())
    }

    /// A name exists if something below it does.
    fn know(&mut self, owner: &Name) {
        self.names.extend(std::iter::successors(Some(owner.clone()), Name::parent));
    }

    fn is(&self, name: &Name, wanted: State) -> bool {
        self.states.iter().any(|(owner, state)| {
            *state == wanted && if wanted == State::Signed { name.is_within(owner) } else { name == owner }
        })
    }

    /// Follows aliases: all names on the way, the one that has the records last.
    fn way(&self, start: &Name) -> Vec<Name> {
        let way: Vec<Name> =
            std::iter::successors(Some(start.clone()), |name| self.aliases.get(name).cloned())
                .take(ALIASES)
                .collect();
        let distinct: BTreeSet<&str> = way.iter().map(Name::as_str).collect();
        if distinct.len() == way.len() { way } else { vec![start.clone()] }
    }
}

#[async_trait]
impl Resolver for Zone {
    async fn ask(&self, question: &Question) -> Result<Answer, DnsError> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(question.clone());
        let Some(name) = question.name() else {
            let records = self.records.get(question).cloned().ok_or(DnsError::NoSuchName)?;
            return Ok(Answer { records, alias_of: None, security: Security::Insecure });
        };
        let way = self.way(name);
        if way.iter().any(|name| self.is(name, State::Silent)) {
            std::future::pending::<()>().await;
        }
        if way.iter().any(|name| self.is(name, State::Broken)) {
            return Err(DnsError::Temporary("server failure".to_owned()));
        }
        if way.iter().any(|name| self.is(name, State::Bogus)) {
            return Err(DnsError::Bogus);
        }
        let signed = way.iter().all(|name| self.is(name, State::Signed));
        let security = if signed { Security::Secure } else { Security::Insecure };
        let last = way.last().unwrap_or(name);
        let known = self.records.get(&about(question, last.clone())).cloned();
        match known {
            None if !self.names.contains(last) => Err(DnsError::NoSuchName),
            records => Ok(Answer {
                records: records.unwrap_or_default(),
                alias_of: (last != name).then(|| last.clone()),
                security,
            }),
        }
    }
}

/// The same question about another name.
fn about(question: &Question, name: Name) -> Question {
    match question {
        Question::Txt(_) => Question::Txt(name),
        Question::Ipv4(_) => Question::Ipv4(name),
        Question::Ipv6(_) => Question::Ipv6(name),
        Question::Mx(_) => Question::Mx(name),
        Question::Tlsa(_) => Question::Tlsa(name),
        Question::Ptr(address) => Question::Ptr(*address),
    }
}

fn tlsa(value: &str) -> Option<Tlsa> {
    let mut words = value.split(' ');
    let mut number = || u8::from_str(words.next()?).ok();
    let (usage, selector, matching) = (number()?, number()?, number()?);
    let digits = words.next()?.as_bytes();
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let data = digits.chunks(2).map(octet).collect::<Option<Vec<u8>>>()?;
    Some(Tlsa { usage, selector, matching, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[tokio::test]
    async fn nothing_of_a_kind_no_name_and_no_answer_are_three_things() {
        let zone = Zone::parse("mx.a.test A 192.0.2.1\nb.test SERVFAIL\nc.test BOGUS").unwrap();
        let empty = Answer { records: Vec::new(), alias_of: None, security: Security::Insecure };
        assert_eq!(zone.ask(&Question::Mx(name("mx.a.test"))).await, Ok(empty.clone()));
        assert_eq!(zone.ask(&Question::Mx(name("a.test"))).await, Ok(empty));
        assert_eq!(zone.ask(&Question::Mx(name("x.test"))).await, Err(DnsError::NoSuchName));
        assert!(matches!(zone.ask(&Question::Mx(name("b.test"))).await, Err(DnsError::Temporary(_))));
        assert_eq!(zone.ask(&Question::Mx(name("c.test"))).await, Err(DnsError::Bogus));
        assert_eq!(zone.asked().len(), 5);
    }

    #[tokio::test]
    async fn an_alias_is_as_secure_as_all_on_its_way() {
        let zone = Zone::parse(
            "a.test SIGNED\nmx.a.test CNAME mx.b.test\nmx.b.test A 192.0.2.1\nwww.a.test CNAME mx2.a.test\n\
             mx2.a.test A 192.0.2.2\nx.test CNAME y.test\ny.test CNAME x.test",
        )
        .unwrap();
        let crossing = zone.ask(&Question::Ipv4(name("mx.a.test"))).await.unwrap();
        assert_eq!((crossing.alias_of, crossing.security), (Some(name("mx.b.test")), Security::Insecure));
        let inside = zone.ask(&Question::Ipv4(name("www.a.test"))).await.unwrap();
        assert_eq!((inside.alias_of, inside.security), (Some(name("mx2.a.test")), Security::Secure));
        assert_eq!(zone.ask(&Question::Ipv4(name("x.test"))).await.unwrap().records, []);
    }

    #[test]
    fn lines_that_say_nothing_are_refused() {
        for bad in [
            "a.test",
            "a.test HINFO x",
            "a.test A 1.2.3",
            "a.test TLSA 3 1 1",
            "a.test TLSA 3 1 1 zz",
            "a PTR b",
        ] {
            assert!(Zone::parse(bad).is_err(), "{bad}");
        }
        assert!(Zone::parse("\n_25._tcp.a.test TLSA 3 1 1 00ff\na.test MX 0 .\n").is_ok());
    }
}
