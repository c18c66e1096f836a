package clusters

// drainName is the ConfigMap of a target that says which sources are drained.
const drainName = "xcc-drain"
