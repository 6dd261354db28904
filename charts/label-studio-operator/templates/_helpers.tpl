{{/* Name of everything in the release: the release's own when it says what it is. */}}
{{- define "operator.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The same for a Service, whose name begins with a letter. */}}
{{- define "operator.serviceName" -}}
{{- regexReplaceAll "^([0-9])" (include "operator.name" .) "s$1" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Two releases must not share a ClusterRole, whatever they and their namespaces are called: neither name holds a colon. */}}
{{- define "operator.clusterName" -}}
{{- printf "%s:%s" (include "operator.name" .) .Release.Namespace -}}
{{- end -}}

{{/* Where Organizations may be, by comma; empty means all. */}}
{{- define "operator.namespaces" -}}
{{- if .Values.watch.allNamespaces -}}
{{- if or .Values.watch.namespaces .Values.watch.inviteNamespaces -}}
{{- fail "watch.allNamespaces is true and watch.namespaces or watch.inviteNamespaces names some: choose one of the two" -}}
{{- end -}}
{{- else -}}
{{- default (list .Release.Namespace) .Values.watch.namespaces | sortAlpha | join "," -}}
{{- end -}}
{{- end -}}

{{/* The watched namespaces, by comma; empty means all. */}}
{{- define "operator.watched" -}}
{{- $namespaces := include "operator.namespaces" . -}}
{{- if $namespaces -}}
{{- range .Values.watch.inviteNamespaces -}}
{{- if has . (splitList "," $namespaces) -}}
{{- fail (printf "watch.inviteNamespaces names %s, where the operator looks for Organizations too: name it once" .) -}}
{{- end -}}
{{- end -}}
{{- concat (splitList "," $namespaces) .Values.watch.inviteNamespaces | join "," -}}
{{- end -}}
{{- end -}}

{{- define "operator.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Labels of everything, as YAML. What the chart says stands above what the values say: selectors rest on it. */}}
{{- define "operator.labels" -}}
{{- $own := dict "app.kubernetes.io/version" .Chart.AppVersion "app.kubernetes.io/managed-by" .Release.Service
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") -}}
{{- toYaml (merge (include "operator.selector" . | fromYaml) $own .Values.commonLabels) -}}
{{- end -}}

{{/* Labels and, if there are any, annotations: of everything, and an object's own. (dict "root" $ "labels" … "annotations" …) */}}
{{- define "operator.about" -}}
labels:
  {{- toYaml (merge (include "operator.labels" .root | fromYaml) (.labels | default dict)) | nindent 2 }}
{{- with merge (.annotations | default dict | deepCopy) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "operator.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* What the program listens to, with this port. */}}
{{- define "operator.listen" -}}
{{- $host := .root.Values.bindAddress -}}
{{- printf "%s:%d" (ternary (printf "[%s]" $host) $host (contains ":" $host)) .port -}}
{{- end -}}

{{/* Pods that `helm test` runs. They are none of the operator's: its Service and budgets must not count them. */}}
{{- define "operator.testSelector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}-test
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Not empty if the policy of templates/grant-policy.yaml is part of the release. Without a cluster to ask, as in
   `helm template`, it is: every version of Kubernetes that the chart allows serves its kind, unless somebody turned it off. */}}
{{- define "operator.grantPolicy" -}}
{{- $served := .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy" -}}
{{- $asked := .Capabilities.APIVersions.Has "v1/Pod" -}}
{{- if eq (toString .Values.grantPolicy.enabled) "auto" -}}
{{- if or $served (not $asked) -}}yes{{- end -}}
{{- else if .Values.grantPolicy.enabled -}}yes
{{- end -}}
{{- end -}}

{{/* What the operator may do where only UserInvites count. */}}
{{- define "operator.inviteRules" -}}
- apiGroups: [labelstudio.rs]
  resources: [userinvites]
  verbs: [get, list, watch, patch] # patch: its own finalizer
- apiGroups: [labelstudio.rs]
  resources: [userinvites/status]
  verbs: [update]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* What it may do where it looks for Organizations, and nothing more. It never writes a spec or a ConfigMap, and a Secret
   only by a switch. */}}
{{- define "operator.rules" -}}
{{ include "operator.inviteRules" . }}
- apiGroups: [labelstudio.rs]
  resources: [organizations]
  verbs: [get, list, watch]
- apiGroups: [labelstudio.rs]
  resources: [organizations/status]
  verbs: [update]
- apiGroups: [""]
  resources: [secrets, configmaps] # the token, a private certificate authority: each watched by its name
  verbs: [list, watch]
{{- if .Values.inviteLink.enabled }}
- apiGroups: [""]
  resources: [secrets] # the invite link; rights cannot be given by owner, so this is every Secret there
  verbs: [create, update, delete]
{{- end }}
{{- if .Values.signupLock.enabled }}
- apiGroups: [apps]
  resources: [deployments, statefulsets] # spec.signup: one variable of the named workloads
  verbs: [get, patch]
{{- end }}
{{- if .Values.bootstrap.enabled }}
- apiGroups: [""]
  resources: [secrets] # spec.bootstrap: stores the token of the first account
  verbs: [create, patch]
{{- end }}
{{- end -}}
