//! What names a TLS channel: the same at both of its ends, and never the same on two channels.

use std::fmt;

/// Octets of the longest hash of a certificate, SHA-512.
const LONGEST: usize = 64;

/// What the server knows of a connection's TLS channel. The driver fills it in after the handshake; empty without TLS.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct ChannelBindings {
    exporter: Option<[u8; 32]>,
    end_point: Option<(usize, [u8; LONGEST])>,
}

impl ChannelBindings {
    /// None.
    pub const NONE: Self = Self { exporter: None, end_point: None };

    /// With `tls-exporter` (RFC 9266): 32 octets of keying material, label `EXPORTER-Channel-Binding`, empty context.
    /// For TLS 1.3 only: before, it is safe only under conditions that a driver cannot look up.
    #[must_use]
    pub const fn with_exporter(self, material: [u8; 32]) -> Self {
        Self { exporter: Some(material), ..self }
    }

    /// With `tls-server-end-point` (RFC 5929 §4): the hash of the certificate that was shown. What is longer than any
    /// such hash is left out.
    #[must_use]
    pub fn with_end_point(self, hash: &[u8]) -> Self {
        let mut kept = [0; LONGEST];
        kept.iter_mut().zip(hash).for_each(|(to, from)| *to = *from);
        let fits = (1..=LONGEST).contains(&hash.len());
        Self { end_point: fits.then_some((hash.len(), kept)), ..self }
    }

    /// Whether there is any.
    pub const fn any(&self) -> bool {
        self.exporter.is_some() || self.end_point.is_some()
    }

    /// The data of a type of binding.
    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        match name {
            "tls-exporter" => self.exporter.as_ref().map(<[u8; 32]>::as_slice),
            "tls-server-end-point" => self.end_point.as_ref().and_then(|(len, hash)| hash.get(..*len)),
            _ => None,
        }
    }
}

impl fmt::Debug for ChannelBindings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (exporter, end_point) = (self.exporter.is_some(), self.end_point.is_some());
        f.debug_struct("ChannelBindings").field("exporter", &exporter).field("end_point", &end_point).finish()
    }
}
