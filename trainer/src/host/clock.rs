//! CPU time: the cost of work, whatever else the machine does meanwhile.

/// CPU seconds that this process has used, in all its threads, to the nanosecond. `None` where the system does not say.
pub fn cpu_seconds() -> Option<f64> {
    #[cfg(unix)]
    return Some(seconds(rustix::time::ClockId::ProcessCPUTime));
    #[cfg(not(unix))]
    None
}

/// CPU seconds that the calling thread has used, likewise.
pub fn thread_cpu_seconds() -> Option<f64> {
    #[cfg(unix)]
    return Some(seconds(rustix::time::ClockId::ThreadCPUTime));
    #[cfg(not(unix))]
    None
}

#[cfg(unix)]
fn seconds(clock: rustix::time::ClockId) -> f64 {
    let time = rustix::time::clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Works until the calling thread has used some CPU time: a busy machine may give it little, so not by the wall clock.
    fn work() {
        let (before, start) = (thread_cpu_seconds().unwrap(), std::time::Instant::now());
        let mut x = 1.0f64;
        while thread_cpu_seconds().unwrap() < before + 0.03 {
            x = std::hint::black_box((0..10_000).fold(x, |x, _| x.sin() + 1.0));
            assert!(start.elapsed().as_secs() < 60, "CPU time stands still");
        }
    }

    #[test]
    #[cfg(unix)]
    fn the_time_of_a_thread_that_has_ended_still_counts() {
        let (process, thread) = (cpu_seconds().unwrap(), thread_cpu_seconds().unwrap());
        std::thread::spawn(work).join().unwrap();
        assert!(cpu_seconds().unwrap() >= process + 0.03);
        work();
        assert!(cpu_seconds().unwrap() >= process + 0.06 && thread_cpu_seconds().unwrap() >= thread + 0.03);
    }
}
