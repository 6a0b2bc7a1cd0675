//! The open connections: their number, source, age, and the memory of their answers. When the server is
//! full, the oldest connection is evicted, so that nobody can keep others out by staying connected.

use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::limits::AddressKey;

/// Caps all connections.
pub(super) const MAX_VISITORS: usize = 64;

/// Caps the connections of one address (IPv6: one /64). A browser opens six.
pub(super) const MAX_VISITORS_PER_ADDRESS: usize = 16;

/// Caps the threads, including those of evicted connections that have not ended yet.
const MAX_THREADS: usize = 2 * MAX_VISITORS;

/// Younger connections are not evicted.
const MIN_AGE_TO_EVICT: Duration = Duration::from_secs(1);

/// Caps the memory of all answers, in bytes.
const MAX_ANSWER_MEMORY: usize = 16 << 20;

/// Answers up to this size, in bytes, need no reservation: 128 of them are 8 MiB.
const SMALL_ANSWER: usize = 64 << 10;

/// The interval between checks for memory while evicted connections end.
const MEMORY_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The open connections of the server.
#[derive(Debug, Default)]
pub(super) struct Visitors {
    table: Mutex<VisitorTable>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct VisitorTable {
    entries: Vec<VisitorEntry>,
    next: u64,
    reserved: usize,
}

#[derive(Debug)]
struct VisitorEntry {
    number: u64,
    source: AddressKey,
    since: Instant,
    socket: Arc<TcpStream>,
    reserved: usize,
    /// Evicted; its thread has not ended yet.
    closing: bool,
}

/// One connection's slot, until dropped.
#[derive(Debug)]
pub(super) struct VisitorSlot {
    visitors: Arc<Visitors>,
    pub(super) number: u64,
}

impl Visitors {
    /// Takes a slot for this connection. `None` if the server is full and no connection can be evicted.
    pub(super) fn admit(
        self: &Arc<Visitors>,
        socket: &Arc<TcpStream>,
        source: AddressKey,
        now: Instant,
    ) -> Option<VisitorSlot> {
        let mut table = self.table.lock();
        if table.entries.len() >= MAX_THREADS {
            return None;
        }
        if table.count(|visitor| visitor.source == source) >= MAX_VISITORS_PER_ADDRESS {
            table.evict_oldest_of(now, |visitor| visitor.source == source)?;
        }
        if table.count(|_| true) >= MAX_VISITORS {
            table.evict_oldest_of(now, |_| true)?;
        }
        let number = table.next;
        table.next += 1;
        let socket = socket.clone();
        table.entries.push(VisitorEntry { number, source, since: now, socket, reserved: 0, closing: false });
        Some(VisitorSlot { visitors: self.clone(), number })
    }

    /// Evicts the oldest connection, if it is old enough.
    pub(super) fn evict_oldest(&self, now: Instant) {
        self.table.lock().evict_oldest_of(now, |_| true);
    }

    /// Ends every wait for a visitor's next byte. Pending answers are still sent.
    pub(super) fn stop_reading(&self) {
        for visitor in &self.table.lock().entries {
            let _ = visitor.socket.shutdown(Shutdown::Read);
        }
    }

    /// Closes all connections.
    pub(super) fn close_all(&self) {
        for visitor in &mut self.table.lock().entries {
            visitor.close();
        }
    }

    /// Waits up to `time` until every connection has ended. False if some have not.
    pub(super) fn wait_empty(&self, time: Duration) -> bool {
        let mut table = self.table.lock();
        self.changed.wait_while_for(&mut table, |table| !table.entries.is_empty(), time);
        table.entries.is_empty()
    }
}

impl VisitorTable {
    fn count(&self, which: impl Fn(&VisitorEntry) -> bool) -> usize {
        self.entries.iter().filter(|visitor| !visitor.closing && which(visitor)).count()
    }

    /// Evicts the oldest of some connections, if it is old enough.
    fn evict_oldest_of(&mut self, now: Instant, which: impl Fn(&VisitorEntry) -> bool) -> Option<()> {
        let longest = self
            .entries
            .iter_mut()
            .filter(|visitor| !visitor.closing && which(visitor))
            .min_by_key(|visitor| visitor.since)
            .filter(|visitor| now.saturating_duration_since(visitor.since) >= MIN_AGE_TO_EVICT)?;
        longest.close();
        Some(())
    }
}

impl VisitorEntry {
    fn close(&mut self) {
        self.closing = true;
        // The connection's thread wakes up with an end or an error.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

impl VisitorSlot {
    /// Reserves `bytes` of memory for this visitor's answer until the slot is dropped. False if there is
    /// none until `deadline`, or if no other holder can be evicted.
    pub(super) fn reserve(&self, bytes: usize, deadline: Instant) -> bool {
        if bytes <= SMALL_ANSWER {
            return true;
        }
        let mut table = self.visitors.table.lock();
        loop {
            if table.reserved + bytes <= MAX_ANSWER_MEMORY {
                table.reserved += bytes;
                if let Some(own) = table.entries.iter_mut().find(|each| each.number == self.number) {
                    own.reserved += bytes;
                }
                return true;
            }
            let now = Instant::now();
            let holds = |visitor: &VisitorEntry| visitor.reserved > 0 && visitor.number != self.number;
            let is_futile = table.evict_oldest_of(now, holds).is_none()
                && !table.entries.iter().any(|visitor| visitor.closing && holds(visitor));
            if is_futile || now >= deadline {
                return false;
            }
            self.visitors.changed.wait_for(&mut table, MEMORY_POLL_INTERVAL);
        }
    }
}

impl Drop for VisitorSlot {
    fn drop(&mut self) {
        let mut table = self.visitors.table.lock();
        if let Some(at) = table.entries.iter().position(|visitor| visitor.number == self.number) {
            let visitor = table.entries.swap_remove(at);
            table.reserved = table.reserved.saturating_sub(visitor.reserved);
        }
        drop(table);
        self.visitors.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{Ipv4Addr, TcpListener};

    fn source(n: u32) -> AddressKey {
        AddressKey::V4(Ipv4Addr::from_bits(n))
    }

    /// Both ends of a connection.
    fn connection() -> (Arc<TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Arc::new(listener.accept().unwrap().0), client)
    }

    #[test]
    fn one_address_is_capped_and_its_oldest_connection_is_evicted() {
        let (visitors, start) = (Arc::new(Visitors::default()), Instant::now());
        let (socket, _client) = connection();
        let (first, mut first_client) = connection();
        let oldest = visitors.admit(&first, source(1), start).unwrap();
        let later = start + Duration::from_millis(500);
        let mut slots: Vec<VisitorSlot> = (1..MAX_VISITORS_PER_ADDRESS)
            .map(|_| visitors.admit(&socket, source(1), later).unwrap())
            .collect();
        assert!(visitors.admit(&socket, source(1), later).is_none());
        slots.push(visitors.admit(&socket, source(2), later).unwrap());
        // A second after the first connected, it is evicted for one newcomer, and only one.
        let then = start + MIN_AGE_TO_EVICT;
        slots.push(visitors.admit(&socket, source(1), then).unwrap());
        assert_eq!(first_client.read(&mut [0]).unwrap(), 0);
        assert!(visitors.admit(&socket, source(1), then).is_none());
        drop(oldest);
        assert!(visitors.admit(&socket, source(1), then).is_none(), "its slot is taken");
        drop(slots);
        assert!(visitors.admit(&socket, source(1), then).is_some());
    }

    #[test]
    fn threads_of_evicted_connections_are_counted() {
        let (visitors, start) = (Arc::new(Visitors::default()), Instant::now());
        let (socket, _client) = connection();
        let mut slots = Vec::new();
        for n in 0..1000 {
            let now = start + n * MIN_AGE_TO_EVICT;
            slots.extend(visitors.admit(&socket, source(n), now));
        }
        assert_eq!(slots.len(), MAX_THREADS);
        drop(slots);
        assert!(visitors.wait_empty(Duration::ZERO));
    }

    #[test]
    fn memory_is_bounded_and_small_answers_always_fit() {
        let visitors = Arc::new(Visitors::default());
        let (socket, _client) = connection();
        let now = Instant::now();
        let deadline = now + Duration::from_secs(5);
        let large = MAX_ANSWER_MEMORY / 4;
        let admit = |n| visitors.admit(&socket, source(n), now).unwrap();
        let mut slots: Vec<VisitorSlot> = (0..4).map(admit).collect();
        assert!(slots.iter().all(|slot| slot.reserve(large, deadline)));
        let next = admit(5);
        assert!(!next.reserve(large, deadline), "no connection is old enough");
        assert!(next.reserve(SMALL_ANSWER, deadline));
        slots.pop();
        assert!(next.reserve(large, deadline));
        drop((slots, next));
        assert_eq!(visitors.table.lock().reserved, 0);
    }

    #[test]
    fn the_oldest_holder_of_memory_is_evicted() {
        let visitors = Arc::new(Visitors::default());
        let (old, mut old_client) = connection();
        let (new, _new_client) = connection();
        let deadline = Instant::now() + Duration::from_secs(20);
        let Some(past) = Instant::now().checked_sub(MIN_AGE_TO_EVICT) else { return };
        let holder = visitors.admit(&old, source(1), past).unwrap();
        assert!(holder.reserve(MAX_ANSWER_MEMORY, deadline));
        let thread = std::thread::spawn(move || {
            // Blocks like the thread of a visitor that does not read, until it is evicted.
            let _ = (&*old).read(&mut [0]);
            drop(holder);
        });
        assert!(
            visitors.admit(&new, source(2), Instant::now()).unwrap().reserve(MAX_ANSWER_MEMORY, deadline)
        );
        thread.join().unwrap();
        assert_eq!(old_client.read(&mut [0]).unwrap(), 0);
    }
}
