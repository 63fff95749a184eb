//! XMPP servers to try things on: one in-process, and throwaway Prosody and ejabberd.
