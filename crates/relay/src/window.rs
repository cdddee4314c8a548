//! How many connections a destination gets at once.
//!
//! Nobody says how many they like, but they say when it is too many. So the number grows while all goes well, by one for
//! each round of as many successes, and is halved when a server turns us away: the rule by which TCP shares a line.

/// The connections of one destination. No time, no locks.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    size: f64,
    most: f64,
    active: usize,
}

impl Window {
    /// Begins with `first` connections, and never allows more than `most`.
    pub fn new(first: u16, most: u16) -> Self {
        let most = f64::from(most.max(1));
        Self { size: f64::from(first.max(1)).min(most), most, active: 0 }
    }

    /// How many may be open now.
    pub fn size(&self) -> usize {
        // Between one and `most`, so nothing is lost.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let size = self.size.floor() as usize;
        size.max(1)
    }

    /// How many more may be opened.
    pub fn room(&self) -> usize {
        self.size().saturating_sub(self.active)
    }

    /// Takes a place; whether there was one.
    pub fn enter(&mut self) -> bool {
        let room = self.room() > 0;
        self.active += usize::from(room);
        room
    }

    /// Gives a place back.
    pub fn leave(&mut self) {
        self.active = self.active.saturating_sub(1);
    }

    /// A message was taken.
    pub fn succeeded(&mut self) {
        self.size = (self.size + 1.0 / self.size.max(1.0)).min(self.most);
    }

    /// The server has enough of us.
    pub fn crowded(&mut self) {
        self.size = (self.size / 2.0).max(1.0);
    }

    /// Whether nothing would be lost if this were forgotten.
    pub const fn is_idle(&self) -> bool {
        self.active == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_by_one_each_round_and_halves() {
        let mut window = Window::new(2, 20);
        assert!(window.enter() && window.enter() && !window.enter());
        for _ in 0..3 {
            window.succeeded();
        }
        assert_eq!((window.size(), window.room()), (3, 1));
        for _ in 0..1000 {
            window.succeeded();
        }
        assert_eq!(window.size(), 20);
        window.crowded();
        assert_eq!(window.size(), 10);
        for _ in 0..10 {
            window.crowded();
        }
        assert_eq!((window.size(), window.room()), (1, 0), "two are open still");
        window.leave();
        window.leave();
        assert!(window.is_idle() && window.enter());
    }
}
