//! Messages that come when they come, whatever became of those before.

use std::io;
use std::time::Instant;

use crate::clients::Clients;

/// Sends `count` messages, `interval` nanoseconds apart on average, over the connections in turn,
/// and returns how many nanoseconds after the moment at which it was due each was back.
///
/// The gaps are those of callers that know nothing of each other. A message that is sent late,
/// since there was much to do, has waited all the same.
pub fn latencies(clients: &mut Clients, interval: f64, count: u64) -> io::Result<Vec<u64>> {
    let start = Instant::now();
    let now = || start.elapsed().as_nanos() as u64;
    let (mut gaps, mut due) = (Gaps(0x9e37_79b9_7f4a_7c15), 0.0);
    let (mut sent, mut latencies) = (0, Vec::with_capacity(count as usize));
    while (latencies.len() as u64) < count {
        if sent < count && due as u64 <= now() {
            clients.send(sent as usize % clients.count(), due as u64)?;
            due += interval * gaps.next();
            sent += 1;
        }
        clients.poll(|due| latencies.push(now() - due))?;
    }
    Ok(latencies)
}

/// Random lengths, exponentially distributed, of which the mean is 1.
struct Gaps(u64);

impl Gaps {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // Above 0, and 1 at most.
        let uniform = ((self.0 >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        -uniform.ln()
    }
}
