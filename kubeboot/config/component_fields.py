"""The first level of KubeletConfiguration and KubeProxyConfiguration as of 1.37, by what a field holds."""

from __future__ import annotations

from collections.abc import Mapping

_KUBELET = {
    "flag": """
        cgroupsPerQOS cpuCFSQuota enableContentionProfiling enableControllerAttachDetach
        enableDebugFlagsHandler enableDebuggingHandlers enableProfilingHandler enableServer
        enableSystemLogHandler enableSystemLogQuery failCgroupV1 failSwapOn kernelMemcgNotification
        localStorageCapacityIsolation makeIPTablesUtilChains mergeDefaultEvictionSettings
        protectKernelDefaults registerNode rotateCertificates runOnce seccompDefault serializeImagePulls
        serverTLSBootstrap singleProcessOOMKill
    """,
    "whole": """
        containerLogMaxFiles containerLogMaxWorkers eventBurst eventRecordQPS evictionMaxPodGracePeriod
        healthzPort imageGCHighThresholdPercent imageGCLowThresholdPercent iptablesDropBit
        iptablesMasqueradeBit kubeAPIBurst kubeAPIQPS maxOpenFiles maxParallelImagePulls maxPods
        nodeLeaseDurationSeconds nodeStatusMaxImages oomScoreAdj podPidsLimit podsPerCore port readOnlyPort
        registryBurst registryPullQPS
    """,
    "number": """
        memoryThrottlingFactor
    """,
    "text": """
        address cgroupDriver cgroupRoot clusterDomain configMapAndSecretChangeDetectionStrategy
        containerLogMaxSize containerLogMonitorInterval containerRuntimeEndpoint contentType
        cpuCFSQuotaPeriod cpuManagerPolicy cpuManagerReconcilePeriod evictionPressureTransitionPeriod
        fileCheckFrequency hairpinMode healthzBindAddress httpCheckFrequency imageMaximumGCAge
        imageMinimumGCAge imagePullCredentialsVerificationPolicy imageServiceEndpoint kubeReservedCgroup
        kubeletCgroups memoryManagerPolicy memoryReservationPolicy nodeStatusReportFrequency
        nodeStatusUpdateFrequency podCIDR podLogsDir providerID reservedSystemCPUs resolvConf
        runtimeRequestTimeout showHiddenMetricsForVersion shutdownGracePeriod
        shutdownGracePeriodCriticalPods staticPodPath staticPodURL streamingConnectionIdleTimeout
        syncFrequency systemCgroups systemReservedCgroup tlsCertFile tlsMinVersion tlsPrivateKeyFile
        topologyManagerPolicy topologyManagerScope volumePluginDir volumeStatsAggPeriod
    """,
    "list": """
        allowedUnsafeSysctls clusterDNS enforceNodeAllocatable preloadedImagesVerificationAllowlist
        registerWithTaints reservedMemory shutdownGracePeriodByPodPriority tlsCipherSuites
        tlsCurvePreferences
    """,
    "mapping": """
        authentication authorization cpuManagerPolicyOptions crashLoopBackOff defaultPodSysctls evictionHard
        evictionMinimumReclaim evictionSoft evictionSoftGracePeriod featureGates kubeReserved logging
        memorySwap qosReserved staticPodURLHeader systemReserved topologyManagerPolicyOptions tracing
        userNamespaces
    """,
}

_PROXY = {
    "flag": """
        bindAddressHardFail enableProfiling windowsRunAsService
    """,
    "whole": """
        oomScoreAdj
    """,
    "text": """
        bindAddress clusterCIDR configSyncPeriod detectLocalMode healthzBindAddress hostnameOverride
        metricsBindAddress mode portRange showHiddenMetricsForVersion
    """,
    "list": """
        nodePortAddresses
    """,
    "mapping": """
        clientConnection conntrack detectLocal featureGates iptables ipvs logging nftables winkernel
    """,
}


def _kinds(table: Mapping[str, str]) -> dict[str, str]:
    return {name: kind for kind, names in table.items() for name in names.split()}


KUBELET: Mapping[str, str] = _kinds(_KUBELET)
PROXY: Mapping[str, str] = _kinds(_PROXY)
