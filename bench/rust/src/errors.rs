//! What can go wrong with a connection or an answer: a fixed set, so that no server can make the
//! report grow.

use std::io;

use rustix::io::Errno;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// One kind of error, as reports count it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorKind { $($(#[$doc])* $name,)* }

        impl ErrorKind {
            /// All of them, in the order of `index`.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// How reports call it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

kinds! {
    /// Tagged NO.
    No = "NO",
    /// Tagged BAD, or an untagged one where nothing else explains it.
    Bad = "BAD",
    /// BYE that was not asked for.
    Bye = "BYE",
    /// An LMTP reply of the 400s where another was hoped for.
    Temporary = "4xx",
    /// An LMTP reply of the 500s.
    Permanent = "5xx",
    /// Something that the protocol does not allow at this place.
    Unexpected = "unexpected answer",
    /// Octets that are no line of the protocol.
    Garbage = "garbage",
    /// No answer within `answer_seconds`.
    Timeout = "timeout",
    /// The server closed the connection without BYE.
    Closed = "closed by server",
    /// RST.
    Reset = "connection reset",
    /// Nobody listens.
    Refused = "connection refused",
    /// Connect took longer than `answer_seconds`, or than the kernel tries.
    ConnectTimeout = "connect timeout",
    /// No route, or the network says no.
    Unreachable = "unreachable",
    /// All local ports are in use, or a source address is none of this machine's.
    NoAddress = "no local address or port",
    /// The process or the machine has no descriptor left.
    Descriptors = "too many open files",
    /// The TLS handshake, a certificate or a record.
    Tls = "TLS",
    /// Any other error of the operating system.
    Os = "operating system",
    /// An open-loop entry was dropped because too many were waiting.
    Backlog = "backlog full",
}

impl ErrorKind {
    /// Place in `ALL`.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The kind of an error of connect, read or write.
    #[must_use]
    pub fn of_io(error: &io::Error) -> Self {
        let Some(errno) = Errno::from_io_error(error) else {
            return match error.kind() {
                io::ErrorKind::UnexpectedEof => Self::Closed,
                _ => Self::Os,
            };
        };
        match errno {
            Errno::CONNREFUSED => Self::Refused,
            Errno::CONNRESET | Errno::PIPE | Errno::CONNABORTED => Self::Reset,
            Errno::TIMEDOUT => Self::ConnectTimeout,
            Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::NETDOWN | Errno::HOSTDOWN => {
                Self::Unreachable
            }
            Errno::ADDRNOTAVAIL | Errno::ADDRINUSE => Self::NoAddress,
            Errno::MFILE | Errno::NFILE => Self::Descriptors,
            _ => Self::Os,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_name_and_place() {
        for (place, kind) in ErrorKind::ALL.iter().enumerate() {
            assert_eq!(kind.index(), place);
            let same = ErrorKind::ALL
                .iter()
                .filter(|other| other.name() == kind.name());
            assert_eq!(same.count(), 1, "{}", kind.name());
        }
    }

    #[test]
    fn the_operating_systems_errors_have_kinds() {
        let of = |errno: Errno| ErrorKind::of_io(&errno.into());
        assert_eq!(of(Errno::CONNREFUSED), ErrorKind::Refused);
        assert_eq!(of(Errno::PIPE), ErrorKind::Reset);
        assert_eq!(of(Errno::MFILE), ErrorKind::Descriptors);
        assert_eq!(of(Errno::NOBUFS), ErrorKind::Os);
        let eof = io::Error::from(io::ErrorKind::UnexpectedEof);
        assert_eq!(ErrorKind::of_io(&eof), ErrorKind::Closed);
    }
}
