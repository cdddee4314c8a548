//! DANE for SMTP (RFC 7672): the certificate that a server must show stands in DNS, proved by DNSSEC.

use aws_lc_rs::digest;
use dns::{Name, Tlsa};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::PolicyKind;
use crate::attempt::Announced;

/// The records of a host that can be used, and the names that a certificate may be for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DaneRecords {
    records: Vec<Tlsa>,
    /// What a certificate below a trust anchor must be for: one of these (RFC 7672 §3.2.2). The first is what the server
    /// is asked for (SNI).
    names: Vec<Name>,
}

/// What in a chain matches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DaneMatch {
    /// The server's own certificate: nothing else about it counts, neither names nor dates (RFC 7672 §3.1.1).
    EndEntity,
    /// These certificates of the chain are trust anchors, by their numbers; the chain has to be valid below one.
    Anchors(Vec<usize>),
    /// Nothing.
    None,
}

const TRUST_ANCHOR: u8 = 2;
const END_ENTITY: u8 = 3;

impl DaneRecords {
    /// The usable ones of a host's records (RFC 7672 §3.1): none if there are none.
    pub fn usable(records: &[Tlsa], names: Vec<Name>) -> Option<Self> {
        let records: Vec<Tlsa> = records.iter().filter(|record| is_usable(record)).cloned().collect();
        (!records.is_empty()).then_some(Self { records, names })
    }

    /// The names that a certificate below a trust anchor may be for.
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// The records as a report quotes them (RFC 8460 §4.4): in the form of a zone file.
    pub(crate) fn announced(&self, host: &str) -> Announced {
        let text = |record: &Tlsa| {
            let data: String = record.data.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{} {} {} {data}", record.usage, record.selector, record.matching)
        };
        let text = self.records.iter().map(text).collect();
        Announced { kind: PolicyKind::Dane, text, hosts: vec![host.to_owned()] }
    }

    /// Looks at a chain of certificates, the server's own first. One record that matches is enough, so that a key can be
    /// replaced without a gap (RFC 7671 §8.1).
    pub fn check(&self, chain: &[&[u8]]) -> DaneMatch {
        let of = |usage| self.records.iter().filter(move |record| record.usage == usage);
        if let Some(own) = chain.first()
            && of(END_ENTITY).any(|record| matches(record, own))
        {
            return DaneMatch::EndEntity;
        }
        let anchor = |certificate: &[u8]| of(TRUST_ANCHOR).any(|record| matches(record, certificate));
        let above = chain.iter().enumerate().skip(1);
        let anchors: Vec<usize> = above.filter(|(_, one)| anchor(one)).map(|(number, _)| number).collect();
        if anchors.is_empty() { DaneMatch::None } else { DaneMatch::Anchors(anchors) }
    }

    /// Trust anchors that stand whole in DNS, so that the server need not send them.
    pub(super) fn whole_anchors(&self) -> impl Iterator<Item = &[u8]> {
        let whole =
            |record: &&Tlsa| record.usage == TRUST_ANCHOR && record.selector == 0 && record.matching == 0;
        self.records.iter().filter(whole).map(|record| record.data.as_slice())
    }
}

/// Records that say something else, or nothing, count as if they were not there; but the host has records.
fn is_usable(record: &Tlsa) -> bool {
    let length = match record.matching {
        0 => !record.data.is_empty(),
        1 => record.data.len() == digest::SHA256_OUTPUT_LEN,
        2 => record.data.len() == digest::SHA512_OUTPUT_LEN,
        _ => false,
    };
    matches!(record.usage, TRUST_ANCHOR | END_ENTITY) && record.selector <= 1 && length
}

fn matches(record: &Tlsa, certificate: &[u8]) -> bool {
    let parsed;
    let selected = if record.selector == 0 {
        certificate
    } else {
        let Ok((_, read)) = X509Certificate::from_der(certificate) else { return false };
        parsed = read;
        parsed.tbs_certificate.subject_pki.raw
    };
    match record.matching {
        0 => selected == record.data,
        1 => digest::digest(&digest::SHA256, selected).as_ref() == record.data,
        2 => digest::digest(&digest::SHA512, selected).as_ref() == record.data,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(name: &str) -> Vec<u8> {
        rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap().cert.der().to_vec()
    }

    fn public_key(certificate: &[u8]) -> Vec<u8> {
        X509Certificate::from_der(certificate).unwrap().1.tbs_certificate.subject_pki.raw.to_vec()
    }

    fn record(usage: u8, selector: u8, matching: u8, certificate: &[u8]) -> Tlsa {
        let selected = if selector == 0 { certificate.to_vec() } else { public_key(certificate) };
        let data = match matching {
            1 => digest::digest(&digest::SHA256, &selected).as_ref().to_vec(),
            2 => digest::digest(&digest::SHA512, &selected).as_ref().to_vec(),
            _ => selected,
        };
        Tlsa { usage, selector, matching, data }
    }

    #[test]
    fn every_kind_of_record() {
        let (own, above, other) = (certificate("mx.test"), certificate("ca.test"), certificate("x.test"));
        let chain = [own.as_slice(), above.as_slice()];
        for selector in [0, 1] {
            for matching in [0, 1, 2] {
                let check =
                    |records: &[Tlsa]| DaneRecords::usable(records, Vec::new()).unwrap().check(&chain);
                assert_eq!(check(&[record(3, selector, matching, &own)]), DaneMatch::EndEntity);
                assert_eq!(check(&[record(3, selector, matching, &above)]), DaneMatch::None);
                assert_eq!(check(&[record(2, selector, matching, &above)]), DaneMatch::Anchors(vec![1]));
                assert_eq!(check(&[record(2, selector, matching, &own)]), DaneMatch::None);
                // While a key is replaced, the old and the new one stand side by side.
                let (old, new) = (record(3, selector, matching, &other), record(3, selector, matching, &own));
                assert_eq!(check(&[old.clone(), new]), DaneMatch::EndEntity);
                assert_eq!(check(&[old]), DaneMatch::None);
            }
        }
    }

    #[test]
    fn records_that_mean_nothing_here() {
        let own = certificate("mx.test");
        let mut short = record(3, 1, 1, &own);
        short.data.pop();
        for bad in [
            record(0, 1, 1, &own),
            record(1, 1, 1, &own),
            record(3, 2, 1, &own),
            record(3, 1, 3, &own),
            short,
        ] {
            assert_eq!(DaneRecords::usable(&[bad], Vec::new()), None);
        }
        assert_eq!(DaneRecords::usable(&[], Vec::new()), None);
        let raw = Tlsa { usage: 3, selector: 1, matching: 0, data: b"x".to_vec() };
        assert_eq!(
            DaneRecords::usable(&[raw], Vec::new()).unwrap().check(&[b"no certificate"]),
            DaneMatch::None
        );
    }
}
