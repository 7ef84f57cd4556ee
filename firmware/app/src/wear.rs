//! How often models may be sent and activated, so that nobody on the line wears the flash out.

/// So many at once.
const BURST: u32 = 32;
/// After that one in so many milliseconds, where the board measures time; otherwise none until it is reset.
///
/// Flash bears 10,000 erasures of a page or more: at this pace that takes five weeks, in which `sirocco info` shows it.
const PAUSE_MS: u32 = 5 * 60 * 1000;

/// How often something may still be done.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    left: u32,
    /// Milliseconds since reset up to which pauses were counted.
    counted: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { left: BURST, counted: 0 }
    }
}

impl Budget {
    /// How often it may still be done at once.
    pub fn left(&mut self, now: Option<u32>) -> u32 {
        if let Some(now) = now {
            let pauses = now.wrapping_sub(self.counted) / PAUSE_MS;
            self.left = self.left.saturating_add(pauses).min(BURST);
            self.counted = self.counted.wrapping_add(pauses.wrapping_mul(PAUSE_MS));
        }
        self.left
    }

    /// Notes that it is done.
    ///
    /// # Errors
    /// If it may not be done now: in how many seconds, or `None` if only after a reset.
    pub fn take(&mut self, now: Option<u32>) -> Result<(), Option<u32>> {
        match self.left(now).checked_sub(1) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(now.map(|now| PAUSE_MS.saturating_sub(now.wrapping_sub(self.counted)).div_ceil(1000))),
        }
    }
}

/// What wears the flash.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits {
    /// Files that are begun: the first chunk erases a page.
    pub begins: Budget,
    /// Activations, each a record.
    pub activations: Budget,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_at_once_and_then_one_after_each_pause() {
        let (mut budget, mut now) = (Budget::default(), 7_000);
        for _ in 0..3 {
            assert!((0..32).all(|_| budget.take(Some(now)).is_ok()));
            let refused = budget.take(Some(now)).unwrap_err().unwrap();
            assert!((1..=300).contains(&refused), "{refused}");
            assert!(budget.take(Some(now + 1000 * refused - 1000)).is_err());
            now += 1000 * refused;
            assert_eq!((budget.take(Some(now)), budget.left(Some(now))), (Ok(()), 0));
            // A long pause fills it, but not beyond.
            now += 100 * PAUSE_MS;
            assert_eq!(budget.left(Some(now)), 32);
        }
    }

    #[test]
    fn the_clock_may_wrap() {
        let mut budget = Budget::default();
        let now = u32::MAX - 10;
        assert!((0..32).all(|_| budget.take(Some(now)).is_ok()));
        assert!(budget.take(Some(now)).is_err());
        assert_eq!(budget.take(Some(now.wrapping_add(2 * PAUSE_MS))), Ok(()));
    }

    #[test]
    fn without_a_clock_a_reset_is_needed() {
        let mut budget = Budget::default();
        assert!((0..32).all(|_| budget.take(None).is_ok()));
        assert_eq!(budget.take(None), Err(None));
    }
}
