//! What one client may ask for before it is refused.

/// Bounds on the input of one connection. Sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// One line, without the literals that it announces (RFC 7162 §4 asks for 8,192).
    pub line: usize,
    /// One literal before login.
    pub literal_before_login: usize,
    /// One literal after login, except messages.
    pub literal: usize,
    /// A message.
    pub append: u64,
    /// All messages of one APPEND; they are held in memory until the last one is here.
    pub append_together: u64,
    /// Literals in one command.
    pub literals: usize,
    /// Everything of one command that is held in memory: its lines and its literals, but not messages.
    pub command: usize,
    /// The same before login.
    pub command_before_login: usize,
}

impl Limits {
    /// How deeply parentheses, `NOT` and `OR` may nest.
    pub const NESTING: u8 = 50;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line: 8 * 1024,
            literal_before_login: 8 * 1024,
            literal: 128 * 1024,
            append: 50 * 1024 * 1024,
            append_together: 64 * 1024 * 1024,
            literals: 1_000,
            command: 1024 * 1024,
            command_before_login: 32 * 1024,
        }
    }
}
