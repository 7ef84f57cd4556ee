//! Time as a training run is billed for it.

/// Kernel ticks per second of `/proc/self/stat`: 100 on every Linux architecture Rust supports.
const TICKS: f64 = 100.0;

/// CPU seconds this process has used, all threads together. `None` where the system has no `/proc`.
pub fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The command's name, in parentheses, may hold blanks; utime and stime are fields 14 and 15 of the line.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<f64>().ok();
    Some((next()? + next()?) / TICKS)
}

/// CPU seconds of the threads that live now, without rounding to ticks: for the cost of short work, as the difference of
/// two calls between which no thread ends. (A thread that is running counts up to its last tick, a few milliseconds
/// ago.) [`cpu_seconds`] where the system does not say.
pub fn fine_cpu_seconds() -> Option<f64> {
    threads().or_else(cpu_seconds)
}

/// The first field of `/proc/self/task/THREAD/schedstat`, nanoseconds on a CPU, summed.
fn threads() -> Option<f64> {
    let mut sum = 0.0;
    for thread in std::fs::read_dir("/proc/self/task").ok()? {
        let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        sum += text.split_whitespace().next()?.parse::<f64>().ok()?;
    }
    Some(sum * 1e-9)
}

/// CPU seconds of the calling thread, to the nanosecond. `None` where the system does not say.
pub fn thread_cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split_whitespace().next()?.parse::<f64>().ok()? * 1e-9)
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_os = "linux")]
    fn cpu_time_passes_with_work() {
        let before = super::cpu_seconds().unwrap();
        let fine = super::fine_cpu_seconds().unwrap();
        let start = std::time::Instant::now();
        let mut x = 1.0f64;
        // A busy machine may give this thread little time, so wait for CPU time rather than for the wall clock.
        while super::cpu_seconds().unwrap() < before + 0.03 {
            x = std::hint::black_box((0..10_000).fold(x, |x, _| x.sin() + 1.0));
            assert!(start.elapsed().as_secs() < 60, "CPU time stands still");
        }
        assert!(super::fine_cpu_seconds().unwrap() > fine);
    }
}
