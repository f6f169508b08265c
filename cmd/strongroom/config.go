package main

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"strongroom/internal/safe/config"
)

func (a *app) configCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "config COMMAND",
		Short: "Begin a configuration, or check one",
		Long: `Begin a configuration, or check one. It is a YAML file: strongroom.yaml in the
current folder, or /etc/strongroom/strongroom.yaml, or what --config names.`,
	},
		&cobra.Command{Use: "check", Short: "Check the configuration; mistakes are shown with line and column", Args: noArgs, RunE: func(*cobra.Command, []string) error {
			cfg, err := a.config()
			if err != nil {
				return err
			}
			a.talk().Printf("The configuration of safe %s is sound: %s.", cfg.Safe, plural(int64(len(cfg.Sources)), "source", "sources"))
			a.talk().Emit("config", map[string]any{"safe": cfg.Safe, "store": cfg.Store, "sources": len(cfg.Sources)})
			return nil
		}},
		&cobra.Command{Use: "schema", Short: "Write the JSON Schema of a configuration, for editors", Args: noArgs, RunE: func(*cobra.Command, []string) error {
			if a.json {
				a.talk().Emit("schema", map[string]json.RawMessage{"schema": config.Schema()})
				return nil
			}
			_, err := a.stdout.Write(config.Schema())
			return err
		}},
		&cobra.Command{Use: "example", Short: "Write a configuration to begin with", Args: noArgs, RunE: func(*cobra.Command, []string) error {
			if a.json {
				a.talk().Emit("example", map[string]string{"text": config.Example()})
				return nil
			}
			_, err := fmt.Fprint(a.stdout, config.Example())
			return err
		}},
	)
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show the version", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			a.talk().Printf("strongroom %s", longVersion())
			a.talk().Emit("version", map[string]string{"version": version, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH})
			return nil
		},
	}
}

// longVersion tells which program this is.
func longVersion() string {
	return fmt.Sprintf("%s, %s, %s/%s", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
