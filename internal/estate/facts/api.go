package facts

// An API is a sort of API that knows what depends on what.
type API string

const (
	Jaeger API = "jaeger" // who calls whom, in traces
	Kiali  API = "kiali"  // the graph of a service mesh
	Hubble API = "hubble" // flows between pods, one a line
	NetBox API = "netbox" // machines, what they run on, and what powers that
)

// APIs are all of them.
var APIs = []API{Jaeger, Kiali, Hubble, NetBox}
