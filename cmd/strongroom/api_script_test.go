package main

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// startAPI starts an API that answers over TLS with the files of a folder, and
// to an Authorization that a file has. It sets API_URL to its address, without
// https://, and API_CA to the file of its certificate:
//
//	api answers authorization
//
// /api/x?offset=2 is answered with the file api/x.2.json, in which $API_URL is
// replaced; a list of NetBox of which there is no file is empty.
func startAPI(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: api FOLDER FILE")
	}
	folder, authorization := ts.MkAbs(args[0]), ts.MkAbs(args[1])
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		wanted, err := os.ReadFile(authorization)
		if err != nil || req.Header.Get("Authorization") != strings.TrimSpace(string(wanted)) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		name := path.Clean(req.URL.Path)
		if offset := req.URL.Query().Get("offset"); offset != "" {
			name += "." + path.Base(offset)
		}
		b, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(name)+".json"))
		switch {
		case err == nil:
			answer := strings.ReplaceAll(string(b), "$API_URL", "https://"+req.Host)
			w.Write([]byte(answer)) // whoever has gone away is told nothing
		case strings.HasSuffix(req.URL.Path, "/"):
			w.Write([]byte(`{"count":0,"next":null,"previous":null,"results":[]}`))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	ts.Defer(server.Close)
	ts.Setenv("API_URL", strings.TrimPrefix(server.URL, "https://"))
	ca := ts.MkAbs("api-ca.pem")
	ts.Check(os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	ts.Setenv("API_CA", ca)
}
