{{- define "vervet.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "vervet.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "vervet.labels" -}}
{{ include "vervet.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: vervet
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "vervet.image" -}}
{{- printf "%s:%s" .image.repository (default .root.Chart.AppVersion .image.tag) -}}
{{- end -}}

{{- define "vervet.confined" -}}
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
privileged: false
{{- end -}}

{{- /* The settings of a pod that both kinds share. */ -}}
{{- define "vervet.pod" -}}
enableServiceLinks: false
terminationGracePeriodSeconds: 60
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- /* There is no authentication yet, so listeners that other pods reach must say `auth: disabled`. */ -}}
{{- define "vervet.collectorConfig" -}}
{{- $own := dict
      "data_dir" "/var/lib/vervet"
      "environment" .Values.environment
      "auth" "disabled"
      "http" (dict "listen" "0.0.0.0:7420")
      "otlp" (dict "grpc" "0.0.0.0:4317" "http" "0.0.0.0:4318") -}}
{{- toYaml (merge $own .Values.collector.config) -}}
{{- end -}}

{{- define "vervet.scraperConfig" -}}
data_dir: /var/lib/vervet-agent
limits: {memory: 32MiB, disk: 128MiB}
resource: {deployment.environment.name: {{ .Values.environment | quote }}}
admin: {listen: 127.0.0.1:7421}
receivers:
  cluster:
    type: prometheus
    scrape_configs:
      - {job_name: vervet-collector, scrape_interval: 15s, static_configs: [{targets: [127.0.0.1:7420]}]}
      - {job_name: vervet-scraper, scrape_interval: 15s, static_configs: [{targets: [127.0.0.1:7421]}]}
      {{- with .Values.collector.scrapeConfigs }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
exporters:
  collector: {type: otlp, endpoint: "http://127.0.0.1:4317"}
pipelines:
  metrics: {from: [cluster], to: [collector]}
{{- end -}}

{{- define "vervet.agentConfig" -}}
data_dir: /var/lib/vervet-agent
limits: {{ toJson .Values.agent.limits }}
resource:
  deployment.environment.name: {{ .Values.environment | quote }}
  k8s.node.name: ${env:NODE_NAME}
  host.name: ${env:NODE_NAME}
admin: {listen: 127.0.0.1:7421}
receivers:
  pods:
    type: filelog
    include: [/var/log/pods/*/*/*.log]
    exclude: [{{ printf "/var/log/pods/%s_%s-agent-*/*/*.log" .Release.Namespace (include "vervet.name" .) | quote }}]
    format: cri
  host: {type: hostmetrics, interval: 15s{{ if .Values.agent.hostProc }}, proc_path: /host/proc{{ end }}}
  own:
    type: prometheus
    scrape_configs:
      - job_name: vervet-agent
        scrape_interval: 15s
        static_configs: [{targets: [127.0.0.1:7421], labels: {node: "${env:NODE_NAME}"}}]
  otlp: {type: otlp, grpc: 0.0.0.0:4317, http: 0.0.0.0:4318, auth: disabled}
processors:
  k8s: {{ toJson (merge (dict "type" "k8sattributes") .Values.agent.kubernetes) }}
exporters:
  collector: {type: otlp, endpoint: {{ printf "http://%s-collector:4317" (include "vervet.name" .) | quote }}, compression: zstd, queue: {on_full: block}}
pipelines:
  logs: {from: [pods, otlp], via: [k8s], to: [collector]}
  metrics: {from: [host, own, otlp], via: [k8s], to: [collector]}
  traces: {from: [otlp], via: [k8s], to: [collector]}
{{- end -}}
