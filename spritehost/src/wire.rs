//! What the host and process 1 of a sprite say to each other.
//!
//! ```text
//! host ──ToGuest (+ pipe ends)──▶ guest-init        one SEQPACKET socket pair, made by the host,
//! host ◀──────FromGuest────────── guest-init        the guest's end is its stdin
//! ```
//!
//! Invariants:
//! * A packet is one JSON message of at most [`MESSAGE_MAX`] bytes; bytes of files and programs never travel in it but
//!   through pipes whose ends go along with the message.
//! * File descriptors go to the guest only. What a guest attaches is dropped by the kernel, since the host offers no
//!   room for it: root in a sprite may replace its process 1.

use std::collections::BTreeMap;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Longest message. The kernel's default socket buffer holds one packet of this size.
pub(crate) const MESSAGE_MAX: usize = 128 * 1024;
/// Most descriptors in one packet: stdin, stdout, stderr.
const DESCRIPTORS_MAX: usize = 3;

/// From the host. `id` names the operation in everything that is said about it later.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ToGuest {
    /// The first message: the network is up.
    Setup {
        /// The sprite's name.
        hostname: String,
        /// Lines that `/etc/hosts` must have.
        hosts: Vec<String>,
        /// Text of `/etc/resolv.conf`.
        resolver: String,
    },
    /// Start a program. With stdin, stdout and stderr; or input and output of its terminal; or nothing, where it logs to
    /// a file.
    Spawn {
        /// Which operation.
        id: u64,
        /// What.
        program: Program,
    },
    /// Signal a program's process group, and what is in the foreground of its terminal.
    Signal {
        /// The operation that started it.
        id: u64,
        /// Which signal.
        signal: i32,
    },
    /// Resize a program's terminal.
    Resize {
        /// The operation that started it.
        id: u64,
        /// Its new size.
        size: Size,
    },
    /// Write a file from a pipe, beside its final name at first.
    Write {
        /// Which operation.
        id: u64,
        /// Where.
        path: String,
        /// Permission bits.
        mode: u32,
        /// Create missing folders.
        parents: bool,
    },
    /// After [`FromGuest::Received`]: put the file in place, or drop it.
    Commit {
        /// Which operation.
        id: u64,
        /// In place, or not.
        keep: bool,
    },
    /// Read a file into a pipe.
    Read {
        /// Which operation.
        id: u64,
        /// Which file.
        path: String,
        /// Where to begin; negative counts from the end.
        offset: i64,
    },
    /// List a folder into a pipe, as the JSON of the API's answer.
    List {
        /// Which operation.
        id: u64,
        /// Which folder.
        path: String,
    },
    /// Change something in the file system.
    Change {
        /// Which operation.
        id: u64,
        /// What.
        change: Change,
    },
    /// Tell into a pipe, as JSON lines, what happens to files, until the pipe is closed.
    Watch {
        /// Which operation.
        id: u64,
        /// Files and folders.
        paths: Vec<String>,
        /// And every folder in them.
        recursive: bool,
    },
    /// End every process: TERM, grace, KILL.
    Shutdown {
        /// Milliseconds between the two.
        grace_ms: u64,
    },
}

/// A change of the file system, as root. Paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Change {
    /// Removes a file, or a folder with everything in it.
    Delete {
        /// Which.
        path: String,
        /// A folder that is not empty, too.
        recursive: bool,
    },
    /// Moves a file or a folder.
    Rename {
        /// From where.
        source: String,
        /// Where to.
        dest: String,
    },
    /// Copies a file, or a folder with everything in it.
    Copy {
        /// From where.
        source: String,
        /// Where to.
        dest: String,
        /// A folder, too.
        recursive: bool,
        /// Keep the owner.
        preserve: bool,
    },
    /// Sets permission bits.
    Chmod {
        /// Of what.
        path: String,
        /// Which.
        mode: u32,
        /// And of everything in it.
        recursive: bool,
    },
    /// Sets owners: numbers, or names that the guest knows.
    Chown {
        /// Of what.
        path: String,
        /// The user.
        uid: Option<String>,
        /// The group.
        gid: Option<String>,
        /// And of everything in it.
        recursive: bool,
    },
}

/// A program to start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Program {
    /// Its arguments, the program first.
    pub arguments: Vec<String>,
    /// Its complete environment.
    pub environment: BTreeMap<String, String>,
    /// Its working directory.
    pub directory: String,
    /// The service whose log takes its output; without one the message carries descriptors.
    pub log: Option<String>,
    /// The size of its terminal, if it has one.
    #[serde(default)]
    pub terminal: Option<Size>,
}

/// A terminal's size in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Size {
    /// Its height.
    pub rows: u16,
    /// Its width.
    pub cols: u16,
}

/// From the guest.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum FromGuest {
    /// Setup is done.
    Ready,
    /// The program runs.
    Started {
        /// Which operation.
        id: u64,
        /// Its process id in the guest.
        pid: u32,
    },
    /// It ended.
    Exited {
        /// Which operation.
        id: u64,
        /// Its exit code, 128 + signal when one ended it.
        code: i32,
    },
    /// The operation failed; nothing was done.
    Refused {
        /// Which operation.
        id: u64,
        /// An error code such as `ENOENT`.
        code: String,
        /// A sentence.
        message: String,
    },
    /// All bytes of a file that is being written have been read from the pipe.
    Received {
        /// Which operation.
        id: u64,
        /// How many bytes.
        size: u64,
    },
    /// The file is in place.
    Written {
        /// Which operation.
        id: u64,
        /// Where.
        path: String,
    },
    /// The change is made.
    Changed {
        /// Which operation.
        id: u64,
        /// To how many files and folders.
        count: u64,
    },
    /// The file or folder is open, its bytes follow in the pipe.
    Opened {
        /// Which operation.
        id: u64,
        /// How many bytes to expect; 0 where that is not known.
        size: u64,
        /// Where in the file they begin.
        offset: u64,
    },
}

impl FromGuest {
    /// Which operation it is about.
    pub(crate) fn id(&self) -> u64 {
        match self {
            Self::Ready => 0,
            Self::Started { id, .. }
            | Self::Exited { id, .. }
            | Self::Refused { id, .. }
            | Self::Received { id, .. }
            | Self::Written { id, .. }
            | Self::Changed { id, .. }
            | Self::Opened { id, .. } => *id,
        }
    }
}

/// Why a message could not be sent or received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// The kernel refused.
    #[error("control socket: {0}")]
    System(#[from] rustix::io::Errno),
    /// Not a message.
    #[error("control message: {0}")]
    Message(#[from] serde_json::Error),
    /// More than [`MESSAGE_MAX`] bytes.
    #[error("more than {MESSAGE_MAX} bytes of arguments and environment")]
    TooLong,
}

/// Makes the pair: the host's end doesn't block, the guest's does.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd), WireError> {
    let flags = SocketFlags::CLOEXEC;
    let (host, guest) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    rustix::io::ioctl_fionbio(&host, true)?;
    // Room for one message of the greatest length plus what the kernel counts for it.
    for end in [&host, &guest] {
        rustix::net::sockopt::set_socket_send_buffer_size(end, 4 * MESSAGE_MAX)?;
    }
    Ok((host, guest))
}

/// Encodes a message.
pub(crate) fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, WireError> {
    let bytes = serde_json::to_vec(message)?;
    if bytes.len() > MESSAGE_MAX { Err(WireError::TooLong) } else { Ok(bytes) }
}

/// Sends one packet.
pub(crate) fn send(socket: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), rustix::io::Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(rustix::io::Errno::INVAL);
    }
    rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives one packet's length into `buffer` without taking descriptors; 0 at the end.
pub(crate) fn receive(socket: impl AsFd, buffer: &mut [u8]) -> Result<usize, rustix::io::Errno> {
    let mut control = RecvAncillaryBuffer::default();
    let received = rustix::net::recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    Ok(received.bytes)
}

/// Receives one packet with its descriptors; `None` at the end.
pub(crate) fn receive_with<T: DeserializeOwned>(
    socket: impl AsFd,
    buffer: &mut [u8],
) -> Result<Option<(T, Vec<OwnedFd>)>, WireError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::net::recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    if received.bytes == 0 {
        return Ok(None);
    }
    let message = serde_json::from_slice(buffer.get(..received.bytes).unwrap_or_default())?;
    Ok(Some((message, descriptors)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_longest_message_and_three_descriptors_arrive() {
        let (host, guest) = pair().unwrap();
        let padding = "x".repeat(MESSAGE_MAX - 200);
        let message = ToGuest::Read { id: 7, path: padding.clone(), offset: -1 };
        let ends: Vec<OwnedFd> = (0..3).map(|_| rustix::pipe::pipe().unwrap().0).collect();
        let borrowed: Vec<BorrowedFd<'_>> = ends.iter().map(AsFd::as_fd).collect();
        send(&host, &encode(&message).unwrap(), &borrowed).unwrap();
        let mut buffer = vec![0; MESSAGE_MAX];
        let (received, descriptors) = receive_with::<ToGuest>(&guest, &mut buffer).unwrap().unwrap();
        assert!(matches!(received, ToGuest::Read { id: 7, path, offset: -1 } if path == padding));
        assert_eq!(descriptors.len(), 3);
        drop(host);
        assert!(receive_with::<ToGuest>(&guest, &mut buffer).unwrap().is_none());
        assert!(matches!(encode(&"x".repeat(MESSAGE_MAX)), Err(WireError::TooLong)));
    }

    proptest! {
        #[test]
        fn any_bytes_from_a_guest_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = serde_json::from_slice::<FromGuest>(&bytes);
        }
    }
}
