//! All certificates of a server: which one a client is shown, and how they are exchanged while it runs.
//!
//! The files are looked at now and then, and when the operator asks for it. Whoever renews a certificate writes two
//! files, one after the other: what is not whole yet, or broken, changes nothing, and the old one is shown on.
//! Connections that are open keep what they began with.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use parking_lot::{Mutex, RwLock};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use types::{Clock, Timestamp};

use super::certificate::Certificate;
use super::self_signed;
use crate::config::{CertificateSettings, TlsSettings};
use crate::problem::{Kind, Problem};
use crate::text;

const DAY: Duration = Duration::from_hours(24);

/// The certificates.
pub(crate) struct Certificates {
    sources: Vec<Source>,
    shown: RwLock<Vec<Arc<Certificate>>>,
    warn_before: Duration,
    clock: Clock,
}

/// Where one certificate comes from.
struct Source {
    settings: CertificateSettings,
    /// A hash of what was read last, whether it could be used or not.
    seen: Mutex<blake3::Hash>,
    /// When its end was warned of last.
    warned: Mutex<Timestamp>,
}

/// What was read of a source.
struct Content {
    chain: Vec<u8>,
    key: Vec<u8>,
}

impl Certificates {
    /// Reads all certificates. Where the settings name none, one is made and kept in `directory`.
    pub(crate) fn load(settings: &TlsSettings, directory: &Path, clock: Clock) -> Result<Arc<Self>, Problem> {
        let mut all = settings.certificates.clone();
        if all.is_empty() {
            all.push(self_signed::ensure(directory, &settings.self_signed)?);
        }
        let mut sources = Vec::new();
        let mut shown = Vec::new();
        for settings in all {
            let refused = |why: String| {
                let chain = &settings.chain;
                Problem::new(Kind::Invalid, format!("the certificate {chain} cannot be used: {why}"))
            };
            let content = Content::read(&settings).map_err(refused)?;
            let certificate = Certificate::parse(&content.chain, &content.key);
            shown.push(Arc::new(certificate.map_err(|why| refused(why.to_string()))?));
            let (seen, warned) = (Mutex::new(content.hash()), Mutex::new(Timestamp(0)));
            sources.push(Source { settings, seen, warned });
        }
        Ok(Arc::new(Self { sources, shown: RwLock::new(shown), warn_before: settings.warn_before, clock }))
    }

    /// Looks whether certificates have changed, and shows new ones from now on. Reads files: not for a thread that must
    /// not wait.
    pub(crate) fn refresh(&self) {
        for (number, source) in self.sources.iter().enumerate() {
            let place = source.settings.chain.to_string();
            let content = match Content::read(&source.settings) {
                Ok(content) => content,
                Err(why) => {
                    // Told once, until there is something to read again.
                    let gone = blake3::hash(why.as_bytes());
                    if std::mem::replace(&mut *source.seen.lock(), gone) != gone {
                        counter!("magpie_certificate_loads_total", "result" => "unreadable").increment(1);
                        tracing::error!(certificate = place, %why, "a certificate cannot be read; the old one is shown on");
                    }
                    continue;
                }
            };
            let hash = content.hash();
            if std::mem::replace(&mut *source.seen.lock(), hash) == hash {
                continue;
            }
            match Certificate::parse(&content.chain, &content.key) {
                Ok(certificate) => {
                    counter!("magpie_certificate_loads_total", "result" => "ok").increment(1);
                    let expires = text::date_time(certificate.expires);
                    tracing::info!(
                        certificate = place,
                        names = certificate.names.join(" "),
                        expires,
                        "a new certificate is shown"
                    );
                    if let Some(shown) = self.shown.write().get_mut(number) {
                        *shown = Arc::new(certificate);
                    }
                    *source.warned.lock() = Timestamp(0);
                }
                Err(why) => {
                    counter!("magpie_certificate_loads_total", "result" => "unusable").increment(1);
                    tracing::error!(certificate = place, %why, "a new certificate cannot be used; the old one is shown on");
                }
            }
        }
        self.warn();
    }

    /// Warns of certificates that expire soon, once a day.
    pub(crate) fn warn(&self) {
        let now = self.clock.now();
        for (place, expires) in self.expiries() {
            if now.plus(self.warn_before) <= expires {
                continue;
            }
            let Some(source) = self.sources.iter().find(|source| source.settings.chain.to_string() == place)
            else {
                continue;
            };
            let mut warned = source.warned.lock();
            if *warned != Timestamp(0) && now.since(*warned) < DAY {
                continue;
            }
            *warned = now;
            let (date, days) = (text::date_time(expires), expires.since(now).as_secs() / DAY.as_secs());
            if expires <= now {
                tracing::error!(
                    certificate = place,
                    expires = date,
                    "a certificate has expired: clients will refuse it"
                );
            } else {
                tracing::warn!(
                    certificate = place,
                    expires = date,
                    days,
                    "a certificate expires soon: renew it"
                );
            }
        }
    }

    /// Where each certificate comes from, and when it expires.
    pub(crate) fn expiries(&self) -> Vec<(String, Timestamp)> {
        let shown = self.shown.read();
        let places = self.sources.iter().map(|source| source.settings.chain.to_string());
        places.zip(shown.iter().map(|certificate| certificate.expires)).collect()
    }

    /// The certificate for a name and for what the client can verify; the first one where none fits.
    fn choose(
        &self,
        name: Option<&str>,
        verifiable: impl Fn(&CertifiedKey) -> bool,
    ) -> Option<Arc<CertifiedKey>> {
        let shown = self.shown.read();
        let name = name.map(str::to_ascii_lowercase);
        let fit = |certificate: &Certificate| name.as_deref().and_then(|name| certificate.fits(name));
        let rank = |certificate: &Certificate| (fit(certificate), verifiable(&certificate.key));
        // Of equals, the first: the last from behind.
        let best = shown.iter().rev().max_by_key(|certificate| rank(certificate));
        best.map(|certificate| certificate.key.clone())
    }
}

impl Content {
    fn read(settings: &CertificateSettings) -> Result<Self, String> {
        Ok(Self { chain: settings.chain.read()?, key: settings.key.read()? })
    }

    fn hash(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(self.chain.len() as u64).to_le_bytes()).update(&self.chain).update(&self.key);
        hasher.finalize()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        self.choose(hello.server_name(), |key| key.key.choose_scheme(schemes).is_some())
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.sources.iter().map(|source| source.settings.chain.to_string())).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::self_signed::generate;
    use super::*;
    use crate::config::Material;

    fn write(directory: &Path, file: &str, names: &[&str]) -> CertificateSettings {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let (chain, key) = generate(&names).unwrap();
        let place = |end: &str| -> PathBuf { directory.join(format!("{file}{end}")) };
        std::fs::write(place(".crt"), chain).unwrap();
        std::fs::write(place(".key"), key).unwrap();
        CertificateSettings { chain: Material::File(place(".crt")), key: Material::File(place(".key")) }
    }

    fn load(certificates: Vec<CertificateSettings>) -> Arc<Certificates> {
        let settings = TlsSettings { certificates, ..crate::config::Settings::new("x.test", "/".into()).tls };
        Certificates::load(&settings, Path::new("/"), Clock::system()).unwrap()
    }

    fn shown(certificates: &Certificates, name: Option<&str>) -> Vec<u8> {
        certificates.choose(name, |_| true).unwrap().cert[0].to_vec()
    }

    #[test]
    fn the_name_decides() {
        let directory = tempfile::tempdir().unwrap();
        let a = write(directory.path(), "a", &["a.example", "*.example.org"]);
        let b = write(directory.path(), "b", &["b.example", "mail.example.org"]);
        let both = load(vec![a.clone(), b.clone()]);
        let (a, b) = (shown(&load(vec![a]), None), shown(&load(vec![b]), None));
        for (name, wanted) in [
            (None, &a),
            (Some("unknown.example"), &a),
            (Some("A.EXAMPLE"), &a),
            (Some("b.example"), &b),
            (Some("mail.example.org"), &b),
            (Some("imap.example.org"), &a),
        ] {
            assert_eq!(&shown(&both, name), wanted, "{name:?}");
        }
        assert!(
            both.choose(Some("a.example"), |_| false).is_some(),
            "an error of TLS says more than silence"
        );
    }

    #[test]
    fn new_files_are_shown_and_broken_ones_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let settings = write(directory.path(), "a", &["a.example"]);
        let certificates = load(vec![settings]);
        let first = shown(&certificates, None);
        certificates.refresh();
        assert_eq!(shown(&certificates, None), first);
        let key = std::fs::read(directory.path().join("a.key")).unwrap();
        write(directory.path(), "a", &["a.example"]);
        let new_key = std::fs::read(directory.path().join("a.key")).unwrap();
        std::fs::write(directory.path().join("a.key"), key).unwrap();
        certificates.refresh();
        assert_eq!(shown(&certificates, None), first, "the key is still the old one");
        std::fs::write(directory.path().join("a.key"), new_key).unwrap();
        certificates.refresh();
        let second = shown(&certificates, None);
        assert_ne!(second, first);
        std::fs::remove_file(directory.path().join("a.crt")).unwrap();
        certificates.refresh();
        assert_eq!(shown(&certificates, None), second);
    }

    #[test]
    fn what_cannot_be_read_at_the_start_is_a_problem() {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = write(directory.path(), "a", &["a.example"]);
        settings.key = Material::Environment("MAGPIE_NO_SUCH_VARIABLE".to_owned());
        let tls = TlsSettings {
            certificates: vec![settings],
            ..crate::config::Settings::new("x.test", "/".into()).tls
        };
        let problem = Certificates::load(&tls, Path::new("/"), Clock::system()).unwrap_err();
        assert!(
            problem.message.contains("a.crt cannot be used: the environment has no MAGPIE_NO_SUCH_VARIABLE")
        );
    }
}
