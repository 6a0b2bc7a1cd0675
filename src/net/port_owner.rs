//! The process that listens on a port.

use std::net::SocketAddr;

/// Name and id of the process that listens on this port; `None` if it is not visible, such as another
/// user's process.
#[cfg(target_os = "linux")]
pub fn port_owner(address: SocketAddr) -> Option<(String, u32)> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .flat_map(|table| listening(table, address.port()))
        .collect();
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    for process in processes {
        let Some(number) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(open) = std::fs::read_dir(process.path().join("fd")) else { continue };
        let holds = |target: &std::path::Path| {
            let target = target.to_string_lossy();
            let inode = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
            inode.is_some_and(|inode| inodes.iter().any(|known| known == inode))
        };
        if open.flatten().filter_map(|each| std::fs::read_link(each.path()).ok()).any(|target| holds(&target))
        {
            let name = std::fs::read_to_string(process.path().join("comm")).ok()?;
            return Some((name.trim_end().to_owned(), number));
        }
    }
    None
}

#[cfg(not(target_os = "linux"))]
pub fn port_owner(_address: SocketAddr) -> Option<(String, u32)> {
    None
}

/// The inodes of the sockets in a kernel table that listen on this port.
#[cfg(target_os = "linux")]
fn listening(table: &str, port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let text = std::fs::read_to_string(table).unwrap_or_default();
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let found = u16::from_str_radix(local.rsplit(':').next()?, 16).ok()?;
        (*state == LISTEN && found == port).then(|| (*inode).to_owned())
    };
    text.lines().skip(1).filter_map(inode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(port_owner(address).map(|(_, number)| number), Some(std::process::id()));
        drop(listener);
        assert_eq!(port_owner(address), None);
    }
}
