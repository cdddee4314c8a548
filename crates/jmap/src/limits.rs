//! How much a client may ask for. What the Session object announces is what is enforced (RFC 8620 §2).

/// The limits. Sizes are in octets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// `maxSizeUpload`: the largest file that can be uploaded.
    pub size_upload: u64,
    /// `maxConcurrentUpload`: uploads of one user at once.
    pub concurrent_upload: usize,
    /// `maxSizeRequest`: the largest request.
    pub size_request: usize,
    /// `maxConcurrentRequests`: requests of one user at once.
    pub concurrent_requests: usize,
    /// `maxCallsInRequest`: method calls of one request.
    pub calls_in_request: usize,
    /// `maxObjectsInGet`: objects that one call may ask for.
    pub objects_in_get: usize,
    /// `maxObjectsInSet`: objects that one call may create, update or destroy.
    pub objects_in_set: usize,
    /// How deep arrays and objects of a request may lie within each other.
    pub depth: usize,
    /// Memory that the values of a request may take, those included that its references bring in.
    pub values: usize,
    /// How long the answer to one request may get.
    pub answer: usize,
    /// Conditions and operators of one filter.
    pub filter: usize,
    /// Things that one `*/changes` or `*/queryChanges` names at most, whatever the client would take.
    pub changes: usize,
    /// Ids that one `*/query` returns at most, whatever the client would take.
    pub query: usize,
    /// `maxDataSources`: what one blob may be put together of.
    pub data_sources: usize,
    /// Octets of blobs that one request may read and put together, whatever for.
    pub blobs: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            size_upload: 50 << 20,
            concurrent_upload: 4,
            size_request: 10 << 20,
            concurrent_requests: 8,
            calls_in_request: 64,
            objects_in_get: 1_000,
            objects_in_set: 1_000,
            depth: 40,
            values: 64 << 20,
            answer: 64 << 20,
            filter: 1_000,
            changes: 10_000,
            query: 10_000,
            data_sources: 1_000,
            blobs: 200 << 20,
        }
    }
}
