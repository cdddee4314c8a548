//! The kinds of values that settings have.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::tree::Node;
use crate::net::{Bind, Network};
use crate::text::{self, parse_size};

/// Something that a key can be set to.
pub(super) trait Value: Sized {
    /// Reads it; `folder` is where paths begin. An error goes on after the key's name.
    fn read(node: &Node, folder: &Path) -> Result<Self, String>;
}

/// A number of octets: `"50 MiB"`, `"64K"`, `1048576`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Size(pub(super) u64);

/// A length of time: `"30s"`, `"10m"`, `"12h"`, `"14d"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Time(pub(super) Duration);

/// Where a secret or PEM is: a file, or a variable of the environment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Material {
    File(PathBuf),
    Environment(String),
}

impl Material {
    /// What is there now.
    pub(crate) fn read(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::File(path) => std::fs::read(path).map_err(|error| {
                let hint = match error.kind() {
                    std::io::ErrorKind::PermissionDenied => "; let the user that Magpie runs as read it",
                    _ => "",
                };
                format!("cannot read {}: {error}{hint}", path.display())
            }),
            Self::Environment(name) => std::env::var(name)
                .map(String::into_bytes)
                .map_err(|_| format!("the environment has no {name}")),
        }
    }
}

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::size(self.0))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let unit = UNITS.iter().rev().find(|(_, unit)| millis.is_multiple_of(u128::from(*unit)));
        let (name, unit) = unit.unwrap_or(&("ms", 1));
        write!(f, "{}{name}", millis / u128::from(*unit))
    }
}

impl fmt::Display for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Environment(name) => write!(f, "${name}"),
        }
    }
}

impl Value for bool {
    fn read(node: &Node, _: &Path) -> Result<Self, String> {
        match node {
            Node::Boolean(boolean) => Ok(*boolean),
            other => Err(format!("must be true or false, not {}", other.kind())),
        }
    }
}

impl Value for String {
    fn read(node: &Node, _: &Path) -> Result<Self, String> {
        word(node).map(str::to_owned)
    }
}

impl Value for PathBuf {
    fn read(node: &Node, folder: &Path) -> Result<Self, String> {
        match word(node)? {
            "" => Err("must not be empty".to_owned()),
            path => Ok(folder.join(path)),
        }
    }
}

impl Value for u64 {
    fn read(node: &Node, _: &Path) -> Result<Self, String> {
        match node {
            Node::Integer(number) => Self::try_from(*number).map_err(|_| "must not be negative".to_owned()),
            other => Err(format!("must be a number, not {}", other.kind())),
        }
    }
}

impl Value for u16 {
    fn read(node: &Node, folder: &Path) -> Result<Self, String> {
        Self::try_from(u64::read(node, folder)?).map_err(|_| format!("must not be more than {}", Self::MAX))
    }
}

impl Value for u32 {
    fn read(node: &Node, folder: &Path) -> Result<Self, String> {
        Self::try_from(u64::read(node, folder)?).map_err(|_| format!("must not be more than {}", Self::MAX))
    }
}

impl Value for usize {
    fn read(node: &Node, folder: &Path) -> Result<Self, String> {
        Self::try_from(u64::read(node, folder)?).map_err(|_| format!("must not be more than {}", Self::MAX))
    }
}

impl Value for Size {
    fn read(node: &Node, folder: &Path) -> Result<Self, String> {
        match node {
            Node::Integer(_) => u64::read(node, folder).map(Self),
            Node::Text(text) => parse_size(text).map(Self).map_err(|_| {
                format!("must be a size such as \"50 MiB\" or a number of octets, not {text:?}")
            }),
            other => Err(format!("must be a size such as \"50 MiB\", not {}", other.kind())),
        }
    }
}

impl Value for Time {
    fn read(node: &Node, _: &Path) -> Result<Self, String> {
        let wrong =
            |what: &str| format!("must be a time such as \"30s\", \"10m\", \"12h\" or \"14d\", not {what}");
        let Node::Text(text) = node else { return Err(wrong(node.kind())) };
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = UNITS.iter().find(|(name, _)| *name == unit.trim()).map(|(_, millis)| *millis);
        let millis = number.parse::<u64>().ok().zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
        millis.map(Duration::from_millis).map(Self).ok_or_else(|| wrong(&format!("{text:?}")))
    }
}

impl<T: Value> Value for Vec<T> {
    /// One value may stand without the brackets.
    fn read(node: &Node, folder: &Path) -> Result<Self, String> {
        match node {
            Node::List(entries) => entries.iter().map(|entry| T::read(&entry.node, folder)).collect(),
            one => Ok(vec![T::read(one, folder)?]),
        }
    }
}

impl Value for Material {
    fn read(node: &Node, folder: &Path) -> Result<Self, String> {
        if let Node::Text(_) = node {
            return PathBuf::read(node, folder).map(Self::File);
        }
        reference(node, folder).ok_or_else(|| "must be the path of a file, or { env = \"NAME\" }".to_owned())
    }
}

impl Value for Network {
    fn read(node: &Node, _: &Path) -> Result<Self, String> {
        let text = word(node)?;
        text.parse().map_err(|_| {
            format!(
                "must hold networks such as \"10.0.0.0/8\" or addresses such as \"2001:db8::1\", not {text:?}"
            )
        })
    }
}

impl Value for Bind {
    fn read(node: &Node, _: &Path) -> Result<Self, String> {
        let text = word(node)?;
        let wrong = || {
            format!(
                "must hold addresses such as \"*:25\" (all), \"localhost:24\", \"192.0.2.1:25\" or \
                 \"[2001:db8::1]:25\", not {text:?}"
            )
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port: u16 = port.parse().map_err(|_| wrong())?;
        match host {
            "*" => Ok(Self::Everywhere(port)),
            "localhost" => Ok(Self::Loopback(port)),
            host => {
                let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
                let address: IpAddr = host.parse().map_err(|_| wrong())?;
                Ok(Self::One(SocketAddr::new(address, port)))
            }
        }
    }
}

fn word(node: &Node) -> Result<&str, String> {
    match node {
        Node::Text(text) => Ok(text),
        other => Err(format!("must be a text, not {}", other.kind())),
    }
}

/// `{ file = "…" }` or `{ env = "…" }`.
fn reference(node: &Node, folder: &Path) -> Option<Material> {
    let Node::Table(table) = node else { return None };
    let mut entries = table.iter();
    let (Some((key, entry)), None) = (entries.next(), entries.next()) else { return None };
    match (key.as_str(), &entry.node) {
        ("file", Node::Text(path)) if !path.is_empty() => Some(Material::File(folder.join(path))),
        ("env", Node::Text(name)) if !name.is_empty() => Some(Material::Environment(name.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Value>(text: &str) -> Result<T, String> {
        let table = super::super::tree::parse(&format!("x = {text}")).unwrap();
        T::read(&table["x"].node, Path::new("/etc/magpie"))
    }

    #[test]
    fn times_and_sizes() {
        for (text, millis) in [("\"30s\"", 30_000), ("\"250ms\"", 250), ("\"2 h\"", 7_200_000), ("\"0s\"", 0)]
        {
            assert_eq!(read::<Time>(text).unwrap().0.as_millis(), millis);
        }
        for bad in ["30", "\"s\"", "\"5 weeks\"", "\"-1s\"", "\"99999999999999999999d\"", "true"] {
            assert!(read::<Time>(bad).unwrap_err().starts_with("must be a time"), "{bad}");
        }
        assert_eq!(read::<Size>("\"50 MiB\"").unwrap().0, 50 << 20);
        assert_eq!(read::<Size>("4096").unwrap().0, 4096);
        assert!(read::<Size>("-1").is_err() && read::<Size>("\"big\"").is_err());
        assert_eq!(Time(Duration::from_secs(90)).to_string(), "90s");
        assert_eq!(Time(Duration::from_secs(86_400)).to_string(), "1d");
    }

    #[test]
    fn addresses() {
        assert_eq!(read::<Vec<Bind>>("\"*:25\"").unwrap(), [Bind::Everywhere(25)]);
        let all =
            read::<Vec<Bind>>("[\"localhost:24\", \"192.0.2.1:25\", \"[2001:db8::1]:25\", \"::1:143\"]");
        assert_eq!(all.unwrap().len(), 4);
        for bad in ["\"25\"", "\"*:smtp\"", "\"mail.example.com:25\"", "\"*:99999\"", "25"] {
            assert!(read::<Bind>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_begin_at_the_file() {
        assert_eq!(
            read::<Material>("\"tls/a.pem\"").unwrap(),
            Material::File("/etc/magpie/tls/a.pem".into())
        );
        assert_eq!(read::<Material>("\"/a.pem\"").unwrap(), Material::File("/a.pem".into()));
        assert_eq!(read::<Material>("{ env = \"KEY\" }").unwrap(), Material::Environment("KEY".into()));
    }
}
