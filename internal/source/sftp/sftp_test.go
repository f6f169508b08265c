package sftp_test

import (
	"testing"

	"strongroom/internal/source"
	"strongroom/internal/source/sftp"
	"strongroom/internal/source/sftp/sshdtest"
	"strongroom/internal/source/sourcetest"
)

func options(server *sshdtest.Server) sftp.Options {
	return sftp.Options{Addr: server.Addr, User: server.User, HostKeys: []string{server.HostKey}, Key: server.PrivateKey}
}

func TestConformance(t *testing.T) {
	for name, connections := range map[string]int{"one connection": 1, "two connections": 2} {
		t.Run(name, func(t *testing.T) {
			server := sshdtest.ForTest(t, sshdtest.Options{})
			sourcetest.Run(t, sourcetest.Kind{
				New: func(include, exclude []string, limits source.Limits) (source.Source, error) {
					o := options(server)
					o.Include, o.Exclude, o.Limits, o.Connections = include, exclude, limits, connections
					return sftp.New(o)
				},
			})
		})
	}
}
