//! When to try again, when to say that it takes long, and when to give up.

use std::time::Duration;

use crate::Dice;

/// Pauses between attempts: each twice as long as the one before, up to a longest, give or take some chance so that
/// what failed together is not tried together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// The pause after the first attempt.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// How much a pause may differ from its due length, in percent of it.
    pub jitter: u32,
    /// How long a sender waits before being told that the message is late. Only for mail to other servers.
    pub warn: Option<Duration>,
    /// How long attempts go on. What fails after that is given up.
    pub give_up: Duration,
}

/// Pauses between attempts, which go on for as long as there is anything to attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pauses {
    /// The pause after the first failure; each one after it is twice as long.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// How much a pause may differ from its due length, in percent of it.
    pub jitter: u32,
}

impl Schedule {
    /// The pause after so many attempts.
    pub fn pause(&self, attempts: u32, dice: &Dice) -> Duration {
        Pauses { first: self.first, longest: self.longest, jitter: self.jitter }.pause(attempts, dice)
    }
}

impl Pauses {
    /// The pause after so many failures.
    pub fn pause(&self, attempts: u32, dice: &Dice) -> Duration {
        let doublings = attempts.saturating_sub(1).min(31);
        let pause = self.first.saturating_mul(1 << doublings).min(self.longest);
        let millis = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX / 4);
        let spread = millis.saturating_mul(u64::from(self.jitter.min(100))) / 100;
        Duration::from_millis(millis - spread + dice.up_to(spread.saturating_mul(2)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEDULE: Schedule = Schedule {
        first: Duration::from_secs(10),
        longest: Duration::from_secs(900),
        jitter: 0,
        warn: None,
        give_up: Duration::from_secs(432_000),
    };

    #[test]
    fn pauses_double_up_to_the_longest() {
        let dice = Dice::seeded(1);
        let pauses: Vec<u64> = (0..10).map(|n| SCHEDULE.pause(n, &dice).as_secs()).collect();
        assert_eq!(pauses, [10, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
        assert_eq!(SCHEDULE.pause(u32::MAX, &dice).as_secs(), 900);
    }

    #[test]
    fn chance_spreads_them_to_both_sides() {
        let dice = Dice::seeded(1);
        let schedule = Schedule { jitter: 25, ..SCHEDULE };
        let pauses: Vec<u64> = (0..1000).map(|_| schedule.pause(3, &dice).as_millis() as u64).collect();
        let (least, most) = (*pauses.iter().min().unwrap(), *pauses.iter().max().unwrap());
        assert!((30_000..31_000).contains(&least) && (49_001..=50_000).contains(&most), "{least} to {most}");
    }
}
